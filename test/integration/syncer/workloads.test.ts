// The syncer between two real API servers, with a real scheduler and kubelet: what only they decide about.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '../../../src/kube/errors.ts';
import {
  CONFIG_MAPS,
  ENDPOINT_SLICES,
  EVENTS,
  type KubeObject,
  PODS,
  type ResourceType,
  SERVICES,
} from '../../../src/kube/resource.ts';
import { ANNOTATION_NAME } from '../../../src/syncer/names.ts';
import type { ConfigMap, EndpointSlice, Event, Pod, PodSpec, Service } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { RESOURCE_QUOTAS } from '../../support/resource-types.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../../support/virtual-cluster.ts';

const CLUSTER = 'work';
const call = () => ({ signal: AbortSignal.timeout(30_000) });
const within = (what: string, timeoutMs = 30_000) => ({ what, timeoutMs });

let place: TestNamespace;
let host: ClusterAccess;
let cluster: InstalledVirtualCluster;

beforeAll(async () => {
  place = await createTestNamespace('syncer');
  host = await clusterAccess();
  cluster = await installVirtualCluster({ host, namespace: place.namespace, name: CLUSTER });
});
afterAll(async () => {
  await cluster?.uninstall();
  await host?.client.close();
  await place?.remove();
});

const inside = () => cluster.inside.client;
const named = (name: string) => ({ namespace: 'default', name });

function pod(name: string, script: string, spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { ...named(name), labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'app',
          image: 'docker.io/library/busybox:1.35.0',
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', `trap 'exit 0' TERM; ${script}; sleep 3600 & wait`],
          ...(spec.volumes
            ? {
                volumeMounts: spec.volumes.map(({ name: volume }) => ({
                  name: volume,
                  mountPath: `/${volume}`,
                })),
              }
            : {}),
        },
      ],
      ...spec,
    },
  };
}

async function find<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined> {
  return inside()
    .get<T>(type, named(name), call())
    .catch((error) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
}

async function onHost<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined> {
  const labelSelector = `mayfly.dev/cluster=${CLUSTER}`;
  const { items } = await host.client.list<T>(type, { namespace: place.namespace, labelSelector, ...call() });
  return items.find(({ metadata }) => metadata.annotations?.[ANNOTATION_NAME] === name);
}

const running = (name: string) =>
  eventually(
    async () =>
      (await find<Pod>(PODS, name))?.status?.phase === 'Running' ? find<Pod>(PODS, name) : undefined,
    within(`${name} runs`),
  );

const output = async (name: string, ...command: string[]) =>
  (await cluster.inside.kubectl(['exec', name, '--', ...command])).trim();

const warnings = async (name: string) => {
  const { items } = await inside().list<Event>(EVENTS, { namespace: 'default', ...call() });
  return items.filter(({ involvedObject, type }) => involvedObject.name === name && type === 'Warning');
};

describe('a pod', () => {
  it('runs with what it refers to, and follows changes of it', async () => {
    await inside().create<ConfigMap>(
      CONFIG_MAPS,
      { metadata: named('settings'), data: { greeting: 'hello' } },
      call(),
    );
    const info = {
      name: 'info',
      downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
    };
    const volumes = [{ name: 'config', configMap: { name: 'settings' } }, info];
    await inside().create<Pod>(PODS, pod('reader', 'true', { volumes }), call());
    await running('reader');
    expect(await output('reader', 'cat', '/config/greeting', '/info/labels')).toBe('helloapp="reader"');
    await inside().patch(
      PODS,
      named('reader'),
      { type: 'merge', body: { metadata: { labels: { app: 'changed' } } } },
      call(),
    );
    const marked = await eventually(async () => {
      const copy = await onHost<Pod>(PODS, 'reader');
      return copy?.metadata.annotations?.['mayfly.dev/virtual-labels'] === 'app="changed"' ? copy : undefined;
    }, within('the label arrives on the host'));
    expect(marked.metadata.labels).not.toHaveProperty('app');
  });

  it('carries tokens that the virtual API knows, and the host does not', async () => {
    await inside().create<Pod>(PODS, pod('caller', 'true'), call());
    await running('caller');
    const token = await output('caller', 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token');
    const review = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec: { token },
    };
    const reviews: ResourceType = {
      group: 'authentication.k8s.io',
      version: 'v1',
      plural: 'tokenreviews',
      kind: 'TokenReview',
      namespaced: false,
    };
    type Reviewed = typeof review & { status?: { authenticated?: boolean; user?: { username?: string } } };
    const known = await inside().create<Reviewed>(reviews, review, call());
    expect(known.status?.user?.username).toBe('system:serviceaccount:default:default');
    const foreign = await host.client.create<Reviewed>(reviews, review, call());
    expect(foreign.status?.authenticated ?? false).toBe(false);
  });

  it('goes to the node that it names', async () => {
    const { spec } = await running('caller');
    await inside().create<Pod>(PODS, pod('placed', 'true', { nodeName: spec?.nodeName }), call());
    expect((await running('placed')).spec?.nodeName).toBe(spec?.nodeName);
  });

  it('ends inside when it is deleted on the host, with the grace it has there', async () => {
    await inside().create<Pod>(PODS, pod('evicted', 'true'), call());
    await running('evicted');
    const { metadata } = (await onHost<Pod>(PODS, 'evicted')) ?? { metadata: {} };
    const name = { namespace: place.namespace, name: metadata.name ?? '' };
    await host.client.delete(PODS, name, call());
    await eventually(
      async () => ((await find(PODS, 'evicted')) ? undefined : true),
      within('it is gone inside'),
    );
  });

  it('ends on the host when it is deleted inside, and leaves nothing there', async () => {
    await inside().delete(PODS, named('caller'), { gracePeriodSeconds: 1, ...call() });
    await eventually(
      async () => ((await find(PODS, 'caller')) ? undefined : true),
      within('it is gone inside'),
    );
    expect(await onHost(PODS, 'caller')).toBeUndefined();
  });

  it('waits out a quota of the host, and is told of it once (F16)', async () => {
    const quota = { metadata: { namespace: place.namespace, name: 'full' }, spec: { hard: { pods: '1' } } };
    await host.client.create(RESOURCE_QUOTAS, quota, call());
    await eventually(async () => {
      const found = await host.client.get<KubeObject & { status?: { hard?: object } }>(
        RESOURCE_QUOTAS,
        quota.metadata,
        call(),
      );
      return found.status?.hard ? true : undefined;
    }, within('the quota is counted'));
    await inside().create<Pod>(PODS, pod('patient', 'true'), call());
    const told = await eventually(async () => {
      const found = await warnings('patient');
      return found.length > 0 ? found : undefined;
    }, within('the pod is told'));
    expect(told[0]).toMatchObject({ reason: 'SyncFailed' });
    expect(told[0]?.message).toMatch(/^pods "patient" is forbidden: exceeded quota/);
    await host.client.delete(RESOURCE_QUOTAS, quota.metadata, call());
    await running('patient');
    expect(await warnings('patient')).toHaveLength(1);
  });
});

describe('a Service', () => {
  it('has one cluster IP on both sides, and leads to its pods', async () => {
    await inside().create<Pod>(
      PODS,
      pod('web', 'mkdir /tmp/www; echo page > /tmp/www/index.html; busybox httpd -p 8080 -h /tmp/www'),
      call(),
    );
    const created = await inside().create<Service>(
      SERVICES,
      { metadata: named('web'), spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } },
      call(),
    );
    const copy = await eventually(() => onHost<Service>(SERVICES, 'web'), within('the Service is adopted'));
    expect(copy.spec?.clusterIP).toBe(created.spec?.clusterIP);
    await running('web');
    const page = await eventually(
      async () =>
        (await output('web', 'timeout', '2', 'wget', '-qO-', 'http://web.default.svc.cluster.local')) ||
        undefined,
      within('the page is served'),
    );
    expect(page).toBe('page');
  });

  it('without a selector leads where its slices say, and nowhere else', async () => {
    const { status } = await running('web');
    await inside().create<Service>(
      SERVICES,
      { metadata: named('by-hand'), spec: { ports: [{ port: 80, targetPort: 8080 }] } },
      call(),
    );
    const slice = (name: string, address: string): EndpointSlice => ({
      metadata: { ...named(name), labels: { 'kubernetes.io/service-name': 'by-hand' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ port: 8080, protocol: 'TCP' }],
    });
    await inside().create(ENDPOINT_SLICES, slice('good', status?.podIP ?? ''), call());
    await inside().create(ENDPOINT_SLICES, slice('bad', status?.hostIP ?? ''), call());
    await eventually(() => onHost(ENDPOINT_SLICES, 'good'), within('the slice is mirrored'));
    const page = await eventually(
      async () => output('web', 'timeout', '2', 'wget', '-qO-', 'http://by-hand'),
      within('the Service leads to the pod'),
    );
    expect(page).toBe('page');
    const told = await eventually(async () => {
      const found = await warnings('bad');
      return found.length > 0 ? found : undefined;
    }, within('the refusal is told'));
    expect(told[0]?.message).toContain(`${status?.hostIP} is not an address that a Service may lead to`);
    expect(await onHost(ENDPOINT_SLICES, 'bad')).toBeUndefined();
  });

  it('goes on the host when it goes inside', async () => {
    await inside().delete(SERVICES, named('web'), call());
    await eventually(
      async () => ((await onHost(SERVICES, 'web')) ? undefined : true),
      within('it is gone on the host'),
    );
  });
});
