// T15: how much one tenant may take of what all share: objects, resources, events and sizes. What is beyond is told or dropped,
// and all else goes on.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, EVENTS, type KubeObject, PODS, SERVICES } from '../../../src/kube/resource.ts';
import type { ConfigMap, Event, Pod, Service } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { DEPLOYMENTS, RESOURCE_QUOTAS } from '../../support/resource-types.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const CLUSTER = 'threats';
const PODS_AT_MOST = 4;
/** Of its own the namespace has the host's authority, the anchor and the configuration; a copy is that of the virtual authority. */
const MAPS_BEFORE = 4;
const MAPS_AT_MOST = MAPS_BEFORE + 2;

type Quota = KubeObject & { status?: { used?: Record<string, string> } };

let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads(CLUSTER, {
    'isolation.quota.pods': String(PODS_AT_MOST),
    'isolation.quota.count/configmaps': String(MAPS_AT_MOST),
  });
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;
const copies = async () => {
  const labelSelector = `mayfly.dev/cluster=${CLUSTER},mayfly.dev/virtual-namespace`;
  const { items } = await work.host.client.list<Pod>(PODS, {
    namespace: work.hostNamespace,
    labelSelector,
    ...call(),
  });
  return items;
};
const countedMaps = async () => {
  const { items } = await work.host.client.list<Quota>(RESOURCE_QUOTAS, {
    namespace: work.hostNamespace,
    ...call(),
  });
  return items.map(({ status }) => status?.used?.['count/configmaps']).find((used) => used !== undefined);
};
/** What one test leaves would count in the next, and while the host counts anew what goes it may miss what comes. */
afterEach(async () => {
  await work.cluster.inside.kubectl(['delete', 'deployments,pods', '--all', '--timeout=60s']);
  await eventually(async () => ((await countedMaps()) === String(MAPS_BEFORE - 1) ? true : undefined), {
    what: 'only the config maps of the control plane count',
    timeoutMs: 60_000,
  });
});
const reads = (map: string): Partial<Pod['spec']> & { container: object } => ({
  container: { envFrom: [{ configMapRef: { name: map } }] },
});
const map = (name: string, data: Record<string, string> = { a: '1' }) =>
  inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named(name), data }, call());

describe('T15: objects of a tenant', () => {
  it('that nothing refers to take no room on the host, however many there are', async () => {
    await Promise.all(Array.from({ length: 150 }, (_, index) => map(`idle-${index}`)));
    await work.create(podRunning('after'));
    await work.running('after');
    const { items } = await work.host.client.list(CONFIG_MAPS, { namespace: work.hostNamespace, ...call() });
    expect(items).toHaveLength(MAPS_BEFORE);
  });

  it('are as many on the host as its quota says; one too many waits, is told, and keeps no other kind', async () => {
    for (const name of ['first', 'second']) {
      await map(name);
      await work.create(podRunning(name, 'true', reads(name)));
      await work.running(name);
    }
    await map('third');
    await work.create(podRunning('third', 'true', reads('third')));
    const [told] = await work.warnings('third');
    expect(told).toMatchObject({ reason: 'SyncFailed' });
    expect(told?.message).toMatch(/^configmaps "third" is forbidden: exceeded quota: .*count\/configmaps=1/);
    expect(await work.onHost(CONFIG_MAPS, 'third')).toBeUndefined();
    const service: Service = { metadata: named('goes-on'), spec: { ports: [{ port: 80 }] } };
    await inside().create(SERVICES, service, call());
    await eventually(() => work.onHost(SERVICES, 'goes-on'), {
      what: 'a Service arrives',
      timeoutMs: 20_000,
    });
  });

  it('are pods no more than the quota lets run, whatever a controller inside wants', async () => {
    const { spec } = podRunning('swarm');
    const labels = { app: 'swarm' };
    const deployment = {
      metadata: named('swarm'),
      spec: { replicas: 12, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    };
    await inside().create<KubeObject>(DEPLOYMENTS, deployment, call());
    const pods = () =>
      inside().list<Pod>(PODS, { namespace: 'default', labelSelector: 'app=swarm', ...call() });
    const told = await eventually(
      async () => {
        const { items } = await inside().list<Event>(EVENTS, { namespace: 'default', ...call() });
        const names = new Set(
          items
            .filter(
              ({ reason, message }) =>
                reason === 'SyncFailed' && /exceeded quota: .*pods=1/.test(message ?? ''),
            )
            .map(({ involvedObject }) => involvedObject.name),
        );
        const running = (await pods()).items.filter(({ status }) => status?.phase === 'Running');
        return running.length === PODS_AT_MOST && names.size >= 12 - PODS_AT_MOST ? names : undefined;
      },
      { what: 'as many run as may, and the others are told', timeoutMs: 60_000 },
    );
    expect(await copies()).toHaveLength(PODS_AT_MOST);
    const waiting = (await pods()).items.filter(({ status }) => status?.phase === 'Pending');
    expect(waiting.every(({ metadata }) => told.has(metadata.name))).toBe(true);
  });

  it('ask for no more CPU and memory than the quota has, and have limits when they say none', async () => {
    const resources = { requests: { cpu: '100' } };
    await work.create(podRunning('greedy', 'true', { container: { resources } }));
    const [told] = await work.warnings('greedy');
    expect(told?.message).toMatch(/exceeded quota: .*requests\.cpu=100/);
    expect(await work.onHost(PODS, 'greedy')).toBeUndefined();
    await work.create(podRunning('modest'));
    await work.running('modest');
    const [container] = (await work.onHost<Pod>(PODS, 'modest'))?.spec?.containers ?? [];
    expect(container?.resources).toMatchObject({
      limits: { memory: '512Mi' },
      requests: { cpu: '20m', memory: '64Mi' },
    });
  });
});

describe('T15: huge objects', () => {
  it('are refused by the API inside, which goes on', async () => {
    const huge = { metadata: named('huge'), data: { a: 'x'.repeat(4_000_000) } };
    await expect(inside().create<ConfigMap>(CONFIG_MAPS, huge, call())).rejects.toMatchObject({
      status: 413,
    });
    const large = { metadata: named('huge'), data: { a: 'x'.repeat(1_500_000) } };
    await expect(inside().create<ConfigMap>(CONFIG_MAPS, large, call())).rejects.toMatchObject({
      status: 422,
    });
    expect(await work.find(CONFIG_MAPS, 'huge')).toBeUndefined();
  });

  it('that the host refuses are told, and keep no other from it', async () => {
    const env = Array.from({ length: 16 }, (_, index) => ({ name: `X${index}`, value: 'x'.repeat(110_000) }));
    await work.create(podRunning('huge', 'true', { container: { env } }));
    const [told] = await work.warnings('huge');
    expect(told).toMatchObject({
      reason: 'SyncRefused',
      message: 'it is larger than what the host stores (TooLarge)',
    });
    expect(await work.onHost(PODS, 'huge')).toBeUndefined();
    await work.create(podRunning('small'));
    await work.running('small');
  });
});

describe('T15: events', () => {
  /** Of the syncer's own figures. */
  async function dropped(): Promise<number> {
    const script = "fetch('http://127.0.0.1:8081/metrics').then((r) => r.text()).then(console.log)";
    const figures = await work.host.kubectl([
      ...['--namespace', work.hostNamespace, 'exec', `${CLUSTER}-0`, '--container=syncer', '--'],
      ...['/usr/local/bin/node', '-e', script],
    ]);
    return Number(/^mayfly_syncer_events_dropped_total (\d+)/m.exec(figures)?.[1]);
  }

  it('are carried inside no faster than the limit, and a storm of them stops nothing', async () => {
    await work.create(podRunning('windy'));
    await work.running('windy');
    const subject = await work.onHost<Pod>(PODS, 'windy');
    const { name = '', namespace, uid } = subject?.metadata ?? {};
    const before = await dropped();
    let made = 0;
    const wave = (size: number) =>
      Promise.all(
        Array.from({ length: size }, async () => {
          const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
          made += 1;
          const event: Event = {
            metadata: { namespace, name: `${name}.storm-${made}` },
            involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
            type: 'Warning',
            reason: 'Storm',
            message: `gust ${made}`,
            source: { component: 'test' },
            firstTimestamp: now,
            lastTimestamp: now,
            count: 1,
          };
          await work.host.client.create<Event>(EVENTS, event, call());
        }),
      );
    await eventually(
      async () => {
        await wave(300);
        return (await dropped()) > before ? true : undefined;
      },
      { what: 'events are dropped', timeoutMs: 60_000 },
    );
    await work.create(podRunning('calm'));
    await work.running('calm');
    const { items } = await inside().list<Event>(EVENTS, { namespace: 'default', ...call() });
    const carried = items.filter(({ reason }) => reason === 'Storm').length;
    expect(carried).toBeGreaterThan(0);
    expect(carried).toBeLessThan(made);
  });
});
