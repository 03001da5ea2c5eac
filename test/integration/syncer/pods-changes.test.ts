// What changes of a pod while it runs: ephemeral containers and resources, through the sub-resources of both API servers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, type KubeObject, PODS } from '../../../src/kube/resource.ts';
import type { ConfigMap, EphemeralContainer, Pod } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { RESOURCE_QUOTAS } from '../../support/resource-types.ts';
import {
  BUSYBOX,
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads('changes');
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside;
const stateOf = (pod: Pod, name: string) =>
  pod.status?.ephemeralContainerStatuses?.find((status) => status.name === name)?.state;

async function addEphemeral(pod: string, container: Partial<EphemeralContainer> & { name: string }) {
  const current = await work.find<Pod>(PODS, pod);
  const { ephemeralContainers = [] } = current?.spec ?? {};
  const body = { spec: { ephemeralContainers: [...ephemeralContainers, { image: BUSYBOX, ...container }] } };
  await inside().client.patch(
    PODS,
    named(pod),
    { type: 'merge', body },
    { ...call(), subresource: 'ephemeralcontainers' },
  );
}

describe('ephemeral containers', () => {
  beforeAll(async () => {
    await work.create(podRunning('shop', 'true', { shareProcessNamespace: true }));
    await work.running('shop');
  });

  it('are what kubectl debug shows, beside the processes of the pod', async () => {
    const shown = await inside().kubectl([
      ...['debug', 'shop', '--image', BUSYBOX, '--target', 'app', '--container', 'look', '--attach=true'],
      ...['--quiet', '--', 'sh', '-c', 'ps | grep -c "[s]leep 3600$"'],
    ]);
    expect(shown.trim()).toBe('1');
    const pod = await work.podWhere('shop', 'tells the end', (found) =>
      Boolean(stateOf(found, 'look')?.terminated),
    );
    expect(stateOf(pod, 'look')?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
  });

  it('come with what they refer to, which is copied for them', async () => {
    const settings: ConfigMap = { metadata: named('tools'), data: { greeting: 'hello' } };
    await inside().client.create(CONFIG_MAPS, settings, call());
    await addEphemeral('shop', {
      name: 'greeter',
      command: ['sh', '-c', 'echo "$GREETING $WHO" > /dev/termination-log'],
      env: [
        { name: 'GREETING', valueFrom: { configMapKeyRef: { name: 'tools', key: 'greeting' } } },
        { name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ],
    });
    const pod = await work.podWhere('shop', 'was greeted', (found) =>
      Boolean(stateOf(found, 'greeter')?.terminated),
    );
    expect(stateOf(pod, 'greeter')?.terminated?.message?.trim()).toBe('hello shop');
  });

  it('that the profile forbids never reach the host, are told of, and leave the pod alone (T3)', async () => {
    const before = await work.running('shop');
    await addEphemeral('shop', { name: 'root', securityContext: { privileged: true } });
    const [told] = await work.warnings('shop');
    expect(told).toMatchObject({ reason: 'SyncRefused' });
    expect(told?.message).toMatch(/^spec\.ephemeralContainers\[2\]\.securityContext\.privileged: /);
    await addEphemeral('shop', { name: 'after', command: ['true'] });
    const pod = await work.podWhere('shop', 'has run the next one', (found) =>
      Boolean(stateOf(found, 'after')?.terminated),
    );
    expect(pod.metadata.uid).toBe(before.metadata.uid);
    const names = (await work.onHost<Pod>(PODS, 'shop'))?.spec?.ephemeralContainers?.map(({ name }) => name);
    expect(names).toEqual(['look', 'greeter', 'after']);
    expect(await work.warnings('shop')).toHaveLength(1);
  });
});

describe('a resize', () => {
  const resize = (name: string, resources: object) =>
    inside().client.patch(
      PODS,
      named(name),
      { type: 'merge', body: { spec: { containers: [{ ...podApp(name), resources }] } } },
      { ...call(), subresource: 'resize' },
    );
  const specs = new Map<string, Pod>();
  const podApp = (name: string) => specs.get(name)?.spec?.containers[0];
  const made = async (name: string) => {
    const resources = {
      requests: { cpu: '20m', memory: '16Mi' },
      limits: { cpu: '100m', memory: '32Mi' },
    };
    await work.create(podRunning(name, 'true', { container: { resources } }));
    specs.set(name, await work.running(name));
  };

  it('happens in place, and is told with the generation it was made in', async () => {
    await made('grows');
    const before = await work.running('grows');
    const wanted = { requests: { cpu: '40m', memory: '24Mi' }, limits: { cpu: '200m', memory: '48Mi' } };
    await resize('grows', wanted);
    const pod = await work.podWhere('grows', 'was resized', ({ metadata, status }) => {
      const [app] = status?.containerStatuses ?? [];
      return app?.resources?.limits?.cpu === '200m' && status?.observedGeneration === metadata.generation;
    });
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, resources: wanted });
    expect(pod.status?.containerStatuses?.[0]?.containerID).toBe(
      before.status?.containerStatuses?.[0]?.containerID,
    );
    expect(pod.metadata.generation).toBeGreaterThan(before.metadata.generation ?? 0);
    expect((await work.onHost<Pod>(PODS, 'grows'))?.spec?.containers[0]?.resources).toMatchObject(wanted);
  });

  it('that no node can hold stays pending, and says so inside', async () => {
    await made('waits');
    await resize('waits', {
      requests: { cpu: '3', memory: '16Mi' },
      limits: { cpu: '3', memory: '32Mi' },
    });
    const pod = await work.podWhere('waits', 'says that the resize is pending', ({ status }) =>
      Boolean(status?.conditions?.some(({ type }) => type === 'PodResizePending')),
    );
    const pending = pod.status?.conditions?.find(({ type }) => type === 'PodResizePending');
    expect(pending).toMatchObject({ status: 'True', observedGeneration: pod.metadata.generation });
  });

  it('that a quota of the host forbids is told once, and the pod’s news still arrive (F16)', async () => {
    await made('forbidden');
    const quota = {
      metadata: { namespace: work.hostNamespace, name: 'cpu' },
      spec: { hard: { 'limits.memory': '4Gi' } },
    };
    await work.host.client.create(RESOURCE_QUOTAS, quota, call());
    await eventually(
      async () => {
        const found = await work.host.client.get<KubeObject & { status?: { hard?: object } }>(
          RESOURCE_QUOTAS,
          quota.metadata,
          call(),
        );
        return found.status?.hard ? true : undefined;
      },
      { what: 'the quota is counted', timeoutMs: 30_000 },
    );
    await resize('forbidden', {
      requests: { cpu: '20m', memory: '16Mi' },
      limits: { cpu: '100m', memory: '9Gi' },
    });
    const [told] = await work.warnings('forbidden');
    expect(told).toMatchObject({ reason: 'SyncFailed' });
    expect(told?.message).toMatch(/^pods "forbidden" is forbidden: exceeded quota/);
    // In the background: a command that is still there when the container ends is ended with it.
    await work.output('forbidden', 'sh', '-c', '(sleep 1; kill 1) > /dev/null 2>&1 &');
    await work.podWhere(
      'forbidden',
      'tells that it started again',
      ({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    await work.host.client.delete(RESOURCE_QUOTAS, quota.metadata, call());
    await eventually(
      async () => {
        const resources = (await work.onHost<Pod>(PODS, 'forbidden'))?.spec?.containers[0]?.resources;
        return resources?.limits?.memory === '9Gi' ? true : undefined;
      },
      { what: 'the host pod is resized', timeoutMs: 90_000 },
    );
    expect(await work.warnings('forbidden')).toHaveLength(1);
  });
});
