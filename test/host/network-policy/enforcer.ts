// Keeps the rules of one node as the API and the announced addresses say: every change is a new set of rules, applied as one.
import type { KubeClient } from '../../../src/kube/client.ts';
import { createReflector } from '../../../src/kube/reflector.ts';
import {
  type KubeObject,
  keyOf,
  NAMESPACES,
  NETWORK_POLICIES,
  PODS,
  type ResourceType,
} from '../../../src/kube/resource.ts';
import { type Change, createStore, type ReadStore } from '../../../src/kube/store.ts';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import type { NetworkPolicy } from '../../../src/syncer/objects.ts';
import type { Announcement, Announcements } from './announcements.ts';
import { type Cluster, compileRules, type RulesOptions } from './compile.ts';
import type { Protocol } from './networked-pod.ts';

export interface EnforcerOptions extends RulesOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly announcements: Announcements;
  readonly apply: (rules: string) => Promise<void>;
  readonly logger: Logger;
  readonly clock?: Clock;
}

interface Pod extends KubeObject {
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
}

interface Container {
  readonly restartPolicy?: string;
  readonly ports?: readonly {
    readonly name?: string;
    readonly protocol?: Protocol;
    readonly containerPort: number;
  }[];
}

/** Changes that come together are one. */
const COALESCE_MS = 10;
const RETRY_MS = 1_000;
/** The API server of a test host restarts within seconds, and pods wait for rules meanwhile. */
const API_BACKOFF = { baseMs: 100, maxMs: 400 };

/** Runs until the signal aborts. The rules stay when it ends: what was isolated stays so until the next run. */
export async function runEnforcer(options: EnforcerOptions, signal: AbortSignal): Promise<void> {
  const { client, announcements, apply, logger, node, bridge, clock = systemClock } = options;
  const pods = createStore<Pod>({ transform: relevantParts });
  const namespaces = createStore<KubeObject>();
  const policies = createStore<NetworkPolicy>();
  let changed = Promise.withResolvers<void>();
  const wake = () => changed.resolve();

  const follow = <T extends KubeObject>(
    type: ResourceType,
    store: ReturnType<typeof createStore<T>>,
    isRelevant: (change: Change<T>) => boolean = () => true,
  ) =>
    createReflector<T>({
      client,
      type,
      store,
      logger,
      clock,
      backoff: API_BACKOFF,
      onChange: (change) => isRelevant(change) && wake(),
    });
  const reflectors = [
    follow(PODS, pods, concernsRules),
    follow(NAMESPACES, namespaces),
    follow(NETWORK_POLICIES, policies),
  ];
  const watcher = announcements.watch(wake);
  const running = reflectors.map((reflector) => reflector.run(signal));

  let current: string | undefined;
  async function bringUpToDate(): Promise<void> {
    const known = (await announcements.read()).filter((announcement) => podOf(announcement, pods));
    const rules = compileRules(snapshot(known, pods, namespaces, policies), { node, bridge });
    if (rules !== current) {
      current = undefined;
      await apply(rules);
      current = rules;
    }
    for (const announcement of known) {
      if (announcement.node === node) await announcements.confirm(announcement);
    }
  }

  try {
    await Promise.all(reflectors.map((reflector) => reflector.synced(signal)));
    logger.info('pods, namespaces and policies are known');
    for (;;) {
      changed = Promise.withResolvers<void>();
      try {
        await bringUpToDate();
        await untilEither(changed.promise, signal);
        await clock.sleep(COALESCE_MS, signal);
      } catch (error) {
        if (signal.aborted) break;
        logger.error({ err: error }, 'the rules could not be applied');
        await clock.sleep(RETRY_MS, signal);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    watcher.close();
    await Promise.all(running);
  }
}

function snapshot(
  announced: readonly Announcement[],
  pods: ReadStore<Pod>,
  namespaces: ReadStore<KubeObject>,
  policies: ReadStore<NetworkPolicy>,
): Cluster {
  return {
    pods: announced.flatMap((announcement) => {
      const pod = podOf(announcement, pods);
      const { node, addresses, namespace } = announcement;
      return pod
        ? [{ node, addresses, namespace, labels: pod.metadata.labels ?? {}, ports: portsOf(pod) }]
        : [];
    }),
    namespaces: new Map(
      namespaces.list().map(({ metadata }) => [metadata.name ?? '', metadata.labels ?? {}]),
    ),
    policies: policies.list().toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1)),
  };
}

/** A pod that was made anew under its old name has another address, which may not be announced yet. */
function podOf({ namespace, name, uid }: Announcement, pods: ReadStore<Pod>): Pod | undefined {
  const pod = pods.get(`${namespace}/${name}`);
  return pod?.metadata.uid === uid ? pod : undefined;
}

function portsOf({ spec }: Pod): Cluster['pods'][number]['ports'] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...spec.containers, ...sidecars]
    .flatMap(({ ports }) => ports ?? [])
    .flatMap(({ name, protocol = 'TCP', containerPort: port }) => (name ? [{ name, protocol, port }] : []));
}

function relevantParts({ metadata, spec }: Pod): Pod {
  const { namespace, name, uid, resourceVersion, labels } = metadata;
  const parts = (containers: readonly Container[] = []) =>
    containers.map(({ restartPolicy, ports }) => ({ restartPolicy, ports }));
  return {
    metadata: { namespace, name, uid, resourceVersion, labels },
    spec: { containers: parts(spec.containers), initContainers: parts(spec.initContainers) },
  };
}

function concernsRules(change: Change<Pod>): boolean {
  if (change.type !== 'updated') return true;
  const { object, previous } = change;
  return (
    object.metadata.uid !== previous.metadata.uid ||
    JSON.stringify(object.metadata.labels) !== JSON.stringify(previous.metadata.labels)
  );
}

async function untilEither(event: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([event, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
