// What is done to a virtual cluster, and when it was seen on the other side.
import {
  CONFIG_MAPS,
  type KubeObject,
  PODS,
  type ResourceType,
  SECRETS,
} from '../../../src/kube/resource.ts';
import type { Change } from '../../../src/kube/store.ts';
import type { ConfigMap, Pod, PodSpec } from '../../../src/syncer/objects.ts';
import { type Figures, summaryOf } from '../statistics.ts';
import { type Clusters, follow } from './clusters.ts';
import { hostRequests } from './host-requests.ts';
import { benchNames, forEachAtOnce } from './load.ts';
import { createTimeline, type Timeline } from './timeline.ts';

const PHASE_TIMEOUT_MS = 180_000;
/** Objects that one pod refers to. */
const REFERENCES = 100;
const call = () => ({ signal: AbortSignal.timeout(60_000) });
type Place = Pick<Clusters, 'namespace'>;
const inside = ({ namespace }: Place, name: string) => ({ namespace, name });

/** No node has the label, so no kubelet takes part. */
function benchPod(place: Place, name: string, spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: inside(place, name),
    spec: {
      nodeSelector: { 'sync-bench': 'nowhere' },
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [{ name: 'app', image: 'registry.k8s.io/pause:3.10' }],
      ...spec,
    },
  };
}

/**
 * One at a time: created inside until added on the host; running on the host until running inside. Beside them what the two API
 * servers take for the writes of the benchmark alone, for each way holds one such write and two watches that tell of one.
 */
export async function measureLatency(clusters: Clusters, { pods }: { pods: number }): Promise<Figures> {
  const { virtual, host, hostNamespace } = clusters;
  const added = createTimeline();
  const running = createTimeline();
  const hostNames = new Map<string, string>();
  await using _host = await followHost(clusters, PODS, (name, change) => {
    if (change.type === 'deleted') return;
    hostNames.set(name, change.object.metadata.name ?? '');
    added.mark(name);
  });
  await using _virtual = await follow<Pod>(virtual, PODS, clusters.namespace, (change) => {
    if (change.type !== 'deleted' && change.object.status?.phase === 'Running') {
      running.mark(change.object.metadata.name ?? '');
    }
  });
  const down: number[] = [];
  const up: number[] = [];
  const virtualWrites: number[] = [];
  const hostWrites: number[] = [];
  for (const [index, name] of benchNames('latency', pods).entries()) {
    const creatingMs = performance.now();
    await virtual.client.create<Pod>(PODS, benchPod(clusters, name), call());
    const createdMs = performance.now();
    virtualWrites.push(createdMs - creatingMs);
    await added.reaches(index + 1, PHASE_TIMEOUT_MS);
    down.push(Math.max(0, added.at(name) - createdMs));
    const status = { phase: 'Running' };
    const patchingMs = performance.now();
    await host.client.patch(
      PODS,
      { namespace: hostNamespace, name: hostNames.get(name) ?? '' },
      { type: 'merge', body: { status } },
      { ...call(), subresource: 'status' },
    );
    const patchedMs = performance.now();
    hostWrites.push(patchedMs - patchingMs);
    await running.reaches(index + 1, PHASE_TIMEOUT_MS);
    up.push(Math.max(0, running.at(name) - patchedMs));
  }
  await removeAll(clusters, PODS, benchNames('latency', pods));
  return {
    ...quantiles('pod_down', down),
    ...quantiles('pod_up', up),
    ...quantiles('virtual_write', virtualWrites),
    ...quantiles('host_write', hostWrites),
  };
}

export async function measurePods(clusters: Clusters, { pods }: { pods: number }): Promise<Figures> {
  const names = benchNames('pod', pods);
  const created = await createAll(clusters, PODS, names, (name) => benchPod(clusters, name));
  const removed = await removeAll(clusters, PODS, names);
  return { ...prefixed('pods', created), ...prefixed('pods_deleted', removed) };
}

/** Secrets that pods refer to, made after the pods: only such are copied. */
export async function measureSecrets(clusters: Clusters, { secrets }: { secrets: number }): Promise<Figures> {
  const names = benchNames('secret', secrets);
  const users = await createUsers(clusters, 'secret', names, (name) => ({
    secret: { name, optional: true },
  }));
  const created = await createAll(clusters, SECRETS, names, (name) => ({
    metadata: inside(clusters, name),
    stringData: { password: `of ${name}` },
  }));
  await removeAll(clusters, PODS, users);
  await forEachAtOnce(names, (name) =>
    clusters.virtual.client.delete(SECRETS, inside(clusters, name), call()),
  );
  return prefixed('secrets', created);
}

/** Config maps that pods refer to, each updated again and again, until the host has the last state of each. */
export async function measureUpdates(
  clusters: Clusters,
  { configMaps, updates }: { configMaps: number; updates: number },
): Promise<Figures> {
  const { virtual } = clusters;
  const names = benchNames('map', configMaps);
  const configMap = (name: string, update: number): ConfigMap => ({
    metadata: inside(clusters, name),
    data: { update: String(update) },
  });
  const users = await createUsers(clusters, 'map', names, (name) => ({
    configMap: { name, optional: true },
  }));
  await createAll(clusters, CONFIG_MAPS, names, (name) => configMap(name, 0));
  const latest = createTimeline();
  await using _host = await followHost<ConfigMap>(clusters, CONFIG_MAPS, (name, change) => {
    if (change.type !== 'deleted' && change.object.data?.update === String(updates)) latest.mark(name);
  });
  const before = await hostRequests(clusters.host);
  const startedMs = performance.now();
  const written = new Map<string, number>();
  for (let update = 1; update <= updates; update++) {
    await forEachAtOnce(names, async (name) => {
      await virtual.client.update(CONFIG_MAPS, configMap(name, update), call());
      written.set(name, performance.now());
    });
  }
  const writtenMs = performance.now();
  await latest.reaches(names.length, PHASE_TIMEOUT_MS);
  const after = await hostRequests(clusters.host);
  await removeAll(clusters, PODS, users);
  await forEachAtOnce(names, (name) => virtual.client.delete(CONFIG_MAPS, inside(clusters, name), call()));
  return {
    updates_written_ms: Math.round(writtenMs - startedMs),
    updates_last_on_host_ms: Math.round(latest.lastMs() - startedMs),
    ...quantiles('updates_lag', lags(names, latest, written)),
    updates_host_requests: after.total - before.total,
    updates_host_429: after.refused - before.refused,
  };
}

/** Pods that each refer to up to a hundred objects by name. */
async function createUsers(
  clusters: Clusters,
  kind: string,
  names: readonly string[],
  source: (name: string) => object,
): Promise<string[]> {
  const users = benchNames(`${kind}user`, Math.ceil(names.length / REFERENCES));
  await forEachAtOnce(users, async (user) => {
    const index = users.indexOf(user);
    const sources = names.slice(index * REFERENCES, (index + 1) * REFERENCES).map(source);
    const volumes = [{ name: 'all', projected: { sources } }] as PodSpec['volumes'];
    await clusters.virtual.client.create<Pod>(PODS, benchPod(clusters, user, { volumes }), call());
  });
  return users;
}

interface Bulk {
  created_ms: number;
  last_on_host_ms: number;
  lag: number[];
  host_requests: number;
  host_429: number;
}

async function createAll<T extends KubeObject>(
  clusters: Clusters,
  type: ResourceType,
  names: readonly string[],
  object: (name: string) => T,
): Promise<Bulk> {
  const added = createTimeline();
  await using _host = await followHost(clusters, type, (name, change) => {
    if (change.type !== 'deleted' && names.includes(name)) added.mark(name);
  });
  return await bulk(clusters, names, added, (name) =>
    clusters.virtual.client.create(type, object(name), call()).then(() => undefined),
  );
}

async function removeAll(clusters: Clusters, type: ResourceType, names: readonly string[]): Promise<Bulk> {
  const wanted = new Set(names);
  const gone = createTimeline();
  await using _host = await followHost(clusters, type, (name, change) => {
    if (change.type === 'deleted' && wanted.has(name)) gone.mark(name);
  });
  return await bulk(clusters, names, gone, (name) =>
    clusters.virtual.client.delete(type, inside(clusters, name), { ...call(), gracePeriodSeconds: 0 }),
  );
}

async function bulk(
  { host }: Clusters,
  names: readonly string[],
  seen: Timeline,
  act: (name: string) => Promise<void>,
): Promise<Bulk> {
  const before = await hostRequests(host);
  const startedMs = performance.now();
  const acted = new Map<string, number>();
  await forEachAtOnce(names, async (name) => {
    await act(name);
    acted.set(name, performance.now());
  });
  const actedMs = performance.now();
  await seen.reaches(names.length, PHASE_TIMEOUT_MS);
  const after = await hostRequests(host);
  return {
    created_ms: Math.round(actedMs - startedMs),
    last_on_host_ms: Math.round(seen.lastMs() - startedMs),
    lag: lags(names, seen, acted),
    host_requests: after.total - before.total,
    host_429: after.refused - before.refused,
  };
}

function lags(names: readonly string[], seen: Timeline, acted: ReadonlyMap<string, number>): number[] {
  return names.map((name) => Math.max(0, seen.at(name) - (acted.get(name) ?? 0)));
}

function followHost<T extends KubeObject>(
  { host, hostNamespace, nameInside }: Clusters,
  type: ResourceType,
  onChange: (name: string, change: Change<T>) => void,
): Promise<AsyncDisposable> {
  return follow<T>(host, type, hostNamespace, (change) => {
    const object = change.type === 'deleted' ? change.previous : change.object;
    const name = nameInside(object.metadata.name ?? '');
    if (name !== undefined) onChange(name, change);
  });
}

function prefixed(
  prefix: string,
  { lag, created_ms, last_on_host_ms, host_requests, host_429 }: Bulk,
): Figures {
  return {
    [`${prefix}_asked_ms`]: created_ms,
    [`${prefix}_last_on_host_ms`]: last_on_host_ms,
    [`${prefix}_ratio`]: Number((last_on_host_ms / created_ms).toFixed(2)),
    ...quantiles(`${prefix}_lag`, lag),
    [`${prefix}_host_requests`]: host_requests,
    [`${prefix}_host_429`]: host_429,
  };
}

function quantiles(name: string, samples: readonly number[]): Figures {
  const { p50, p99, max } = summaryOf(samples);
  const rounded = (value: number) => Number(value.toFixed(1));
  return {
    [`${name}_p50_ms`]: rounded(p50),
    [`${name}_p99_ms`]: rounded(p99),
    [`${name}_max_ms`]: rounded(max),
  };
}
