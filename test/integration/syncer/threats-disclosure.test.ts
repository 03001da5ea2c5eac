// T16: what tenants can read of the host: no name of it is in anything that their API server holds, whatever goes wrong there.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CONFIG_MAPS,
  EVENTS,
  type KubeObject,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  SECRETS,
  SERVICES,
} from '../../../src/kube/resource.ts';
import type { ConfigMap, Event, Pod, Service } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { everyObject } from '../../support/host-inventory.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const CLUSTER = 'threats';
const LANDLORD = 'of-the-landlord';
let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads(CLUSTER);
  const theirs = { ...podRunning(LANDLORD), metadata: { namespace: work.hostNamespace, name: LANDLORD } };
  await work.host.client.create<Pod>(PODS, theirs, call());
  await work.create(podRunning('shop'));
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside;

describe('T16: what tenants can read', () => {
  /** Names that are nobody's business inside: of the place on the host, of what is there, and of the copies. */
  async function namesOfTheHost(): Promise<string[]> {
    const kinds = [PODS, SERVICES, SECRETS, CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS];
    const lists = await Promise.all(
      kinds.map((type) =>
        work.host.client.list<KubeObject>(type, {
          namespace: work.hostNamespace,
          labelSelector: `mayfly.dev/cluster=${CLUSTER}`,
          ...call(),
        }),
      ),
    );
    const copies = lists.flatMap(({ items }) => items).map(({ metadata }) => metadata.name ?? '');
    expect(copies.length).toBeGreaterThan(5);
    return [work.hostNamespace, LANDLORD, ...copies];
  }

  const isWaiting = (reason: string) => (pod: Pod) =>
    Boolean(pod.status?.containerStatuses?.some(({ state }) => state?.waiting?.reason === reason));

  it('is no name of the host, whatever goes well or wrong there', async () => {
    const settings: ConfigMap = { metadata: named('settings'), data: { a: '1' } };
    await inside().client.create(CONFIG_MAPS, settings, call());
    const service: Service = {
      metadata: named('shop'),
      spec: { selector: { app: 'shop' }, ports: [{ port: 80 }] },
    };
    await inside().client.create(SERVICES, service, call());
    const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '8Mi' } } };
    await inside().client.create<KubeObject>(
      PERSISTENT_VOLUME_CLAIMS,
      { metadata: named('data'), spec: claim } as KubeObject,
      call(),
    );
    const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }];
    await work.create(
      podRunning('stores', 'true', {
        volumes,
        container: { envFrom: [{ configMapRef: { name: 'settings' } }] },
      }),
    );
    await work.create(
      podRunning('lacks', 'true', { container: { envFrom: [{ secretRef: { name: 'nothing' } }] } }),
    );
    await work.create(
      podRunning('mounts', 'true', {
        volumes: [{ name: 'x', configMap: { name: 'nothing' } }],
        container: { volumeMounts: [{ name: 'x', mountPath: '/x' }] },
      }),
    );
    const image = { image: 'docker.io/library/missing:1', imagePullPolicy: 'Never' };
    await work.create(podRunning('imageless', 'true', { container: image }));
    await work.create(podRunning('fails', 'exit 3'));
    const requests = { requests: { memory: '7Ti' } };
    await work.create(podRunning('hungry', 'true', { container: { resources: requests } }));
    await work.create(podRunning('rooted', 'true', { hostPID: true }));

    await work.running('stores');
    await work.podWhere('lacks', 'lacks its secret', isWaiting('CreateContainerConfigError'));
    await work.podWhere('imageless', 'has no image', isWaiting('ErrImageNeverPull'));
    await work.podWhere('fails', 'failed', isWaiting('CrashLoopBackOff'));
    const [mounting] = await work.warnings('mounts');
    expect(mounting?.message).toContain('configmap "nothing" not found');
    expect(await work.warnings('hungry')).toMatchObject([{ reason: 'SyncFailed' }]);
    await work.warnings('rooted');

    const names = await namesOfTheHost();
    const objects = await everyObject(inside().client, AbortSignal.timeout(30_000));
    expect(objects.filter(({ type }) => type.plural === 'events').length).toBeGreaterThan(10);
    const leaks = objects.flatMap(({ type, object }) => {
      const told = JSON.stringify(object);
      return names
        .filter((name) => told.includes(name))
        .map((name) => `${type.plural} ${object.metadata.namespace}/${object.metadata.name} tells ${name}`);
    });
    expect(leaks).toEqual([]);
  });

  it('are names inside in place of the host’s, in whatever words the host puts them', async () => {
    const copy = await work.onHost<Pod>(PODS, 'stores');
    const { name = '', namespace = '', uid } = copy?.metadata ?? {};
    const token = copy?.spec?.volumes
      ?.flatMap(({ projected }) => projected?.sources ?? [])
      .find(({ secret }) => secret)?.secret?.name;
    const neighbour = await work.onHost<Pod>(PODS, 'shop');
    const words = {
      pod: name,
      place: `"${namespace}"/"${name}"`,
      settings: copy?.spec?.containers[0]?.envFrom?.[0]?.configMapRef?.name,
      token,
      neighbour: neighbour?.metadata.name,
      uid,
    };
    expect(Object.values(words)).not.toContain(undefined);
    const event: Event = {
      metadata: { namespace, name: `${name}.by-hand` },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      type: 'Warning',
      reason: 'ByHand',
      message: Object.entries(words)
        .map(([key, word]) => `${key} ${word}`)
        .join(', '),
      source: { component: 'test' },
      firstTimestamp: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      lastTimestamp: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      count: 1,
    };
    await work.host.client.create<Event>(EVENTS, event, call());
    const told = await eventually(
      async () => (await work.warnings('stores')).find(({ reason }) => reason === 'ByHand'),
      { what: 'the event is told', timeoutMs: 20_000 },
    );
    for (const hidden of await namesOfTheHost()) expect(told.message).not.toContain(hidden);
    expect(told.message).toContain('pod stores, place "default"/"stores", settings settings');
    expect(told.message).toContain('neighbour shop');
  });

  it('is no event about others', async () => {
    const namespace = work.hostNamespace;
    const about = async (name: string, object: KubeObject) => {
      const { uid } = object.metadata;
      const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
      await work.host.client.create<Event>(
        EVENTS,
        {
          metadata: { namespace, name: `${name}.about-${object.metadata.name}` },
          involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: object.metadata.name, uid },
          type: 'Warning',
          reason: 'AboutSomebody',
          message: name,
          source: { component: 'test' },
          firstTimestamp: now,
          lastTimestamp: now,
          count: 1,
        },
        call(),
      );
    };
    const get = (name: string) => work.host.client.get<Pod>(PODS, { namespace, name }, call());
    await about('one', await get(LANDLORD));
    await about('two', await get(`${CLUSTER}-0`));
    await about('three', (await work.onHost<Pod>(PODS, 'shop')) ?? { metadata: {} });
    const told = await eventually(
      async () => {
        const { items } = await inside().client.list<Event>(EVENTS, call());
        const found = items.filter(({ reason }) => reason === 'AboutSomebody');
        return found.length > 0 ? found : undefined;
      },
      { what: 'the event about its own pod is told', timeoutMs: 20_000 },
    );
    expect(told.map(({ message }) => message)).toEqual(['three']);
  });
});
