// The engine of the syncer: watches both sides, turns every change into the keys it concerns, and has workers bring each
// virtual object and its host copy together. It knows no kind by name.
import type { KubeClient } from '../../kube/client.ts';
import { createReflector, type Reflector, type ReflectorMetrics } from '../../kube/reflector.ts';
import { type KubeObject, keyOf, NAMESPACES, NODES, type ResourceType } from '../../kube/resource.ts';
import type { Change, Store } from '../../kube/store.ts';
import { createWorkQueue, runWorkers, type WorkQueueMetrics } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { errorMessage, MayflyError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ClusterFacts, Observation, Side, TranslationContext } from '../kind.ts';
import { nodes } from '../kinds/nodes/kind.ts';
import { pods } from '../kinds/pods/kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import { kindId, kindKey, LABEL_CLUSTER, parseKindKey, virtualKeyOf } from '../names.ts';
import type { ConfigMap, EndpointSlice, Event, Node, Pod, Secret, Service } from '../objects.ts';
import {
  createNamespaceStore,
  createNodeStore,
  createStorePair,
  pairOf,
  referenceIndexKey,
  type StorePair,
  type StorePairs,
  type SyncerStores,
} from '../stores.ts';
import { createTokenKeeper } from '../tokens/token-keeper.ts';
import { createContext } from './context.ts';
import { createEventForwarder, createPassingStore } from './event-forwarder.ts';
import { createExpectations } from './expectations.ts';
import { createReconciler, isOvertaken, referrersOf } from './reconciler.ts';
import { createRecorder } from './recorder.ts';
import { createStoreIdentity, type StoreReplacedError } from './store-identity.ts';
import { createUpwardSync } from './upward.ts';

const WORKERS = 24;

export interface EngineMetrics {
  reflector(name: string): ReflectorMetrics;
  queue(name: string): WorkQueueMetrics;
  failed(kind: string, code: string): void;
  eventDropped(): void;
  storeReplaced(): void;
}

export interface EngineOptions {
  kinds: readonly AnyKind[];
  host: KubeClient;
  virtual: KubeClient;
  facts: ClusterFacts;
  hostApiAddresses: readonly string[];
  /** Whether the host's nodes may be read; without, Nodes are derived from the pods that run on them. */
  readsHostNodes: boolean;
  logger: Logger;
  clock: Clock;
  metrics?: EngineMetrics;
}

export interface Engine {
  readonly stores: SyncerStores;
  readonly context: TranslationContext;
  /** Runs until the signal aborts and what ran then has ended. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when both sides are in the local copies; rejects when the signal aborts. */
  synced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
}

interface Watched {
  name: string;
  reflector: Reflector;
}

export function createEngine(options: EngineOptions): Engine {
  const { kinds, host, virtual, facts, logger, clock, metrics } = options;
  const pairs: StorePairs = new Map(kinds.map((kind) => [kindId(kind.type), createStorePair(kind)]));
  const namespaces = createNamespaceStore();
  const virtualNodes = createNodeStore();
  const hostNodes = createNodeStore();
  const stores = viewOf(pairs, { namespaces, virtualNodes, hostNodes });
  const queue = createWorkQueue({ clock, metrics: metrics?.queue('syncer') });
  const expectations = createExpectations(clock);
  const identity = createStoreIdentity({ client: virtual, namespaces });
  const context = createContext({
    facts,
    hostApiAddresses: options.hostApiAddresses,
    pairs,
    stores,
    identity,
  });
  const recorder = createRecorder({ client: virtual, clock, logger });
  const tokens = createTokenKeeper({ facts, virtual, host, hostSecrets: stores.host.secrets, queue, clock });
  const nodeSync = createUpwardSync(nodes, { client: virtual, virtuals: virtualNodes, stores, queue, clock });
  const events = createEventForwarder({
    kinds,
    pairs,
    virtual,
    context,
    queue,
    clock,
    onDropped: () => metrics?.eventDropped(),
  });
  const replaced = new Set<string>();

  const reconcilers = new Map<string, (key: string, signal: AbortSignal) => Promise<void>>([
    [kindId(nodeSync.type), nodeSync.reconcile],
    [kindId(events.type), events.reconcile],
    ...kinds.map((kind): [string, (key: string, signal: AbortSignal) => Promise<void>] => [
      kindId(kind.type),
      createReconciler(kind, {
        kinds,
        pairs,
        host,
        virtual,
        context,
        identity,
        expectations,
        recorder,
        queue,
        companionOf: ({ type }) => (kindId(type) === kindId(pods.type) ? tokens : undefined),
        ensureNode: nodeSync.ensure,
        onStoreReplaced,
      }).reconcile,
    ]),
  ]);

  function onStoreReplaced(error: StoreReplacedError): void {
    if (replaced.has(error.message)) return;
    replaced.add(error.message);
    logger.error({ code: error.code, reason: error.message }, 'the virtual store was replaced');
    metrics?.storeReplaced();
  }

  /** The keys that a change concerns, by what kinds say they observe. */
  const observers: { type: ResourceType; observation: Observation }[] = [nodeSync, ...kinds].flatMap(
    ({ type, observes = [] }) => observes.map((observation) => ({ type, observation })),
  );

  function tellObservers(side: Side, changed: ResourceType, change: Change<KubeObject>): void {
    for (const { type, observation } of observers) {
      if (observation.side !== side || kindId(observation.type) !== kindId(changed)) continue;
      for (const object of versionsOf(change)) {
        for (const key of observation.keys(object)) queue.add(kindKey(type, key));
      }
    }
  }

  function tellReferrers(kind: AnyKind, key: string): void {
    for (const referrer of referrersOf(kinds, pairs, kind, key)) queue.add(referrer);
  }

  function virtualChanged(kind: AnyKind, change: Change<KubeObject>): void {
    const [newest] = versionsOf(change);
    const key = keyOf(newest);
    // What users wait for goes before what flows back, of which there is more.
    queue.add(kindKey(kind.type, key), change.type === 'added' ? 'high' : 'normal');
    tellObservers('virtual', kind.type, change);
    tellReferrers(kind, key);
    for (const reference of changedReferences(kind, change)) queue.add(reference);
  }

  function hostChanged(kind: AnyKind, change: Change<KubeObject>): void {
    tellObservers('host', kind.type, change);
    for (const object of versionsOf(change)) {
      const key = virtualKeyOf(object.metadata);
      if (key === undefined) continue;
      expectations.settled(kindKey(kind.type, key));
      queue.add(kindKey(kind.type, key));
      if (change.type !== 'updated') tellReferrers(kind, key);
    }
  }

  /** Another store has moved in under the same address, or the first one has come up: everything is looked at again. */
  function namespaceChanged(change: Change<KubeObject>): void {
    const [newest, previous] = versionsOf(change);
    if (newest.metadata.name !== 'kube-system' || newest.metadata.uid === previous?.metadata.uid) return;
    for (const kind of kinds) {
      const pair = pairOf<KubeObject>(pairs, kind.type);
      for (const object of pair?.virtual.list() ?? []) queue.add(kindKey(kind.type, keyOf(object)));
    }
  }

  function watch<T extends KubeObject>(
    side: Side,
    type: ResourceType,
    store: Store<T>,
    onChange: (change: Change<T>) => void,
    labelSelector?: string,
  ): Watched {
    const name = `${side}/${kindId(type)}`;
    const reflector = createReflector<T>({
      client: side === 'host' ? host : virtual,
      type,
      namespace: side === 'host' && type.namespaced ? facts.hostNamespace : undefined,
      labelSelector,
      store,
      onChange,
      logger,
      clock,
      metrics: metrics?.reflector(name),
    });
    return { name, reflector };
  }

  const ofThisCluster = `${LABEL_CLUSTER}=${facts.cluster}`;
  const watched: Watched[] = [
    watch('virtual', NAMESPACES, namespaces, namespaceChanged),
    watch<Node>('virtual', NODES, virtualNodes, (change) => tellObservers('virtual', NODES, change)),
    ...(options.readsHostNodes
      ? [watch<Node>('host', NODES, hostNodes, (change) => tellObservers('host', NODES, change))]
      : []),
    watch<Event>('host', events.type, createPassingStore(), events.onChange),
    ...kinds.flatMap((kind) => {
      const pair = pairs.get(kindId(kind.type)) as StorePair<KubeObject>;
      return [
        watch('virtual', kind.type, pair.virtual, (change) => virtualChanged(kind, change)),
        watch('host', kind.type, pair.host, (change) => hostChanged(kind, change), ofThisCluster),
      ];
    }),
  ];

  async function synced(signal: AbortSignal): Promise<void> {
    await Promise.all(watched.map(({ reflector }) => reflector.synced(signal)));
  }

  return {
    stores,
    context,
    synced,
    hasSynced: () => watched.every(({ reflector }) => reflector.hasSynced()),

    async run(signal) {
      const watching = Promise.all(watched.map(({ reflector }) => reflector.run(signal)));
      try {
        // Before both sides are known, what seems absent may only not have arrived.
        await synced(signal);
      } catch {
        await watching;
        return;
      }
      await runWorkers(queue, {
        concurrency: WORKERS,
        signal,
        async handle(id, handlerSignal) {
          const { kind, key } = parseKindKey(id);
          await reconcilers.get(kind)?.(key, handlerSignal);
        },
        onError(id, error) {
          const { kind } = parseKindKey(id);
          const code = error instanceof MayflyError ? error.code : 'Unexpected';
          metrics?.failed(kind, code);
          const level = isOvertaken(error) ? 'debug' : error instanceof MayflyError ? 'info' : 'error';
          logger[level]({ key: id, code, reason: errorMessage(error) }, 'will be tried again');
        },
      });
      queue.close();
      await watching;
    },
  };

  /** What began or ceased to be referred to. */
  function changedReferences(kind: AnyKind, change: Change<KubeObject>): string[] {
    if (!kind.references) return [];
    const before = change.type === 'added' ? [] : kind.references(change.previous).map(referenceIndexKey);
    const after = change.type === 'deleted' ? [] : kind.references(change.object).map(referenceIndexKey);
    return [
      ...after.filter((reference) => !before.includes(reference)),
      ...before.filter((reference) => !after.includes(reference)),
    ].filter((reference) => pairs.has(parseKindKey(reference).kind));
  }
}

/** The newest version first. */
function versionsOf<T>(change: Change<T>): [T, ...T[]] {
  if (change.type === 'deleted') return [change.previous];
  return change.type === 'added' ? [change.object] : [change.object, change.previous];
}

function viewOf(
  pairs: StorePairs,
  own: {
    namespaces: SyncerStores['virtual']['namespaces'];
    virtualNodes: Store<Node>;
    hostNodes: Store<Node>;
  },
): SyncerStores {
  const pair = <T extends KubeObject>(id: string) => {
    const found = pairs.get(id);
    if (!found) throw new RangeError(`the kind ${id} is not synced`);
    return found as unknown as StorePair<T>;
  };
  const podPair = pair<Pod>('pods');
  const servicePair = pair<Service>('services');
  const secretPair = pair<Secret>('secrets');
  return {
    virtual: {
      pods: podPair.virtual,
      services: servicePair.virtual,
      endpointSlices: pair<EndpointSlice>('endpointslices.discovery.k8s.io').virtual,
      nodes: own.virtualNodes,
      namespaces: own.namespaces,
      configMaps: pair<ConfigMap>('configmaps').virtual,
      secrets: secretPair.virtual,
    },
    host: { pods: podPair.host, services: servicePair.host, nodes: own.hostNodes, secrets: secretPair.host },
  };
}
