// The engine of the syncer: turns every change of either side into the keys it concerns, and has workers bring each virtual
// object and its host copy together. What kinds there are it is told.
import type { KubeClient } from '../../kube/client.ts';
import type { ReflectorMetrics } from '../../kube/reflector.ts';
import { type KubeObject, keyOf, NAMESPACES, NODES, PODS, type ResourceType } from '../../kube/resource.ts';
import type { Change } from '../../kube/store.ts';
import { createWorkQueue, runWorkers, type WorkQueueMetrics } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { errorMessage, MayflyError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ClusterFacts, Side, TranslationContext } from '../kind.ts';
import type { AnyKind, AnyUpwardKind } from '../kinds/registry.ts';
import { ANNOTATION_UID, type KindId, kindId, kindKey, parseKindKey, virtualKeyOf } from '../names.ts';
import type { Event } from '../objects.ts';
import { copyOf, pairOf, referenceIndexKey, type SyncerStores } from '../stores.ts';
import { createTokenKeeper } from '../tokens/token-keeper.ts';
import { createContext } from './context.ts';
import { createDeparted } from './departed.ts';
import { createEventForwarder, createPassingStore } from './event-forwarder.ts';
import { createExpectations } from './expectations.ts';
import { createLocalCopies, type LocalCopies } from './local-copies.ts';
import { createMappedObjects } from './mapped-objects.ts';
import { tellingOwnWrites } from './own-writes.ts';
import { isOvertaken } from './problems.ts';
import { createReconciler, referrersOf } from './reconciler.ts';
import { createRecorder } from './recorder.ts';
import { createStoreIdentity, type StoreReplacedError } from './store-identity.ts';
import { createUpwardSync } from './upward.ts';

const WORKERS = 24;
/** The API server sends no bookmarks for events (they have no watch cache): silence says nothing about a watch of them. */
const WITHOUT_BOOKMARKS_MS = 15 * 60_000;

export interface EngineMetrics {
  reflector(name: string): ReflectorMetrics;
  queue(name: string): WorkQueueMetrics;
  failed(kind: string, code: string): void;
  eventDropped(): void;
  storeReplaced(): void;
}

export interface EngineOptions {
  kinds: readonly AnyKind[];
  upwardKinds: readonly AnyUpwardKind[];
  host: KubeClient;
  virtual: KubeClient;
  facts: ClusterFacts;
  hostApiAddresses: readonly string[];
  /** Whether cluster-scoped objects of the host may be read. */
  readsHostWide: boolean;
  logger: Logger;
  clock: Clock;
  metrics?: EngineMetrics;
}

export interface Engine {
  readonly stores: SyncerStores;
  readonly context: TranslationContext;
  readonly follow: LocalCopies['follow'];
  /** Runs until the signal aborts and what ran then has ended. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when both sides are in the local copies; rejects when the signal aborts. */
  synced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
}

type Reconcile = (key: string, signal: AbortSignal) => Promise<void>;

export function createEngine(options: EngineOptions): Engine {
  const { kinds, upwardKinds, facts, logger, clock, metrics } = options;
  const queue = createWorkQueue({ clock, metrics: metrics?.queue('syncer') });
  const expectations = createExpectations(clock);
  const departed = createDeparted();
  const reflectorMetrics = metrics?.reflector;
  const copies = createLocalCopies({ ...options, reflectorMetrics, onChange, onServed });
  const { pairs, stores } = copies;
  const host = tellingOwnWrites(options.host, (type, written) => learn('host', type, written));
  const virtual = tellingOwnWrites(options.virtual, (type, written) => learn('virtual', type, written));
  const identity = createStoreIdentity({ client: virtual, namespaces: stores.virtual.namespaces });
  const context = createContext({ ...options, pairs, stores, identity });
  const recorder = createRecorder({ client: virtual, clock, logger });
  const tokens = createTokenKeeper({ facts, virtual, host, hostSecrets: stores.host.secrets, queue, clock });
  const onDropped = () => metrics?.eventDropped();
  const events = createEventForwarder({ kinds, pairs, virtual, context, queue, clock, onDropped });
  copies.follow<Event>(events.type, createPassingStore(), events.onChange, {
    idleTimeoutMs: WITHOUT_BOOKMARKS_MS,
  });
  const mapped = createMappedObjects({
    pairs,
    virtual,
    queue,
    clock,
    view: { ...options, stores, pairs, context },
  });
  mapped.follow(copies);

  const syncedKinds = new Map(kinds.map((kind) => [kindId(kind.type), kind]));
  const upwardSyncs = new Map(
    upwardKinds.map((kind) => {
      const virtuals = copyOf(pairs, kind.type).virtual;
      const view = { stores, pairs, context, readsHostWide: options.readsHostWide };
      const { isServed } = copies;
      const sync = createUpwardSync(kind, { client: virtual, virtuals, view, isServed, queue, clock });
      return [kindId(kind.type), sync];
    }),
  );
  const reconcilers = new Map<KindId, Reconcile>([[kindId(events.type), events.reconcile]]);
  for (const [id, { reconcile }] of upwardSyncs) reconcilers.set(id, reconcile);
  for (const [id, kind] of syncedKinds) {
    const { reconcile } = createReconciler(kind, {
      kinds,
      pairs,
      host,
      virtual,
      context,
      identity,
      expectations,
      departed,
      recorder,
      queue,
      clock,
      isServed: copies.isServed,
      isKnown: copies.isKnown,
      companion: id === kindId(PODS) ? tokens : undefined,
      ensureNode: async (name, signal) => upwardSyncs.get(kindId(NODES))?.ensure(name, signal),
      onStoreReplaced,
    });
    reconcilers.set(id, mapped.before(kind.type, reconcile));
  }

  const toldOfStores = new Set<string>();
  function onStoreReplaced(error: StoreReplacedError): void {
    if (toldOfStores.has(error.message)) return;
    toldOfStores.add(error.message);
    logger.error({ code: error.code, reason: error.message }, 'the virtual store was replaced');
    metrics?.storeReplaced();
  }

  function learn(side: Side, type: ResourceType, written: KubeObject): void {
    const change = pairOf<KubeObject>(pairs, type)?.[side].learn(written);
    if (change) onChange(side, type, change);
  }

  function onChange(side: Side, type: ResourceType, change: Change<KubeObject>): void {
    const kind = syncedKinds.get(kindId(type));
    tellObservers(side, type, change);
    if (side === 'virtual' && type === NAMESPACES) namespaceChanged(change);
    else if (kind && side === 'virtual') virtualChanged(kind, change);
    else if (kind) hostChanged(kind, change);
  }

  /** What only one side had until now is looked at again; what the other side has comes by itself. */
  function onServed(type: ResourceType): void {
    const pair = pairOf<KubeObject>(pairs, type);
    for (const object of pair?.virtual.list() ?? []) onChange('virtual', type, { type: 'added', object });
    for (const object of pair?.host.list() ?? []) onChange('host', type, { type: 'added', object });
    if (syncedKinds.get(kindId(type))?.references) lookAtReferred();
  }

  /** Copies for the sake of what refers to them outlive the time in which not all of that was known. */
  function lookAtReferred(): void {
    for (const { type, when } of kinds) {
      if (when === 'always') continue;
      for (const { metadata } of pairOf<KubeObject>(pairs, type)?.host.list() ?? []) {
        const key = virtualKeyOf(metadata);
        if (key !== undefined) queue.add(kindKey(type, key));
      }
    }
  }

  function tellObservers(side: Side, changed: ResourceType, change: Change<KubeObject>): void {
    for (const { type, observes = [] } of [...upwardKinds, ...kinds]) {
      for (const observation of observes) {
        if (observation.side !== side || kindId(observation.type) !== kindId(changed)) continue;
        const own = copyOf<KubeObject>(pairs, type).virtual;
        const keys = versionsOf(change).flatMap((object) => observation.keys(object, own));
        for (const key of keys) queue.add(kindKey(type, key));
      }
    }
  }

  function virtualChanged(kind: AnyKind, change: Change<KubeObject>): void {
    const key = keyOf(versionsOf(change)[0]);
    // What users wait for goes before what flows back, of which there is more.
    queue.add(kindKey(kind.type, key), change.type === 'added' ? 'high' : 'normal');
    tellReferrers(kind, key);
    for (const reference of changedReferences(kind, change)) {
      if (syncedKinds.has(parseKindKey(reference).kind)) queue.add(reference);
    }
  }

  function hostChanged(kind: AnyKind, change: Change<KubeObject>): void {
    const [newest, previous] = versionsOf(change);
    // Adopted, made anew for another owner, or no longer ours: for what waits for it that is as if it came or went.
    const isSameCopy = previous !== undefined && ownerOf(newest) === ownerOf(previous);
    for (const { metadata } of versionsOf(change)) {
      const key = virtualKeyOf(metadata);
      if (key === undefined) continue;
      expectations.settled(kindKey(kind.type, key));
      if (change.type === 'deleted' && kind.endsOnHost) departed.left(kindKey(kind.type, key), newest);
      queue.add(kindKey(kind.type, key));
      if (!isSameCopy) tellReferrers(kind, key);
    }
  }

  function tellReferrers(kind: AnyKind, key: string): void {
    for (const referrer of referrersOf(kinds, pairs, kind, key)) queue.add(referrer);
  }

  /** Another store has moved in under the same address, or the first one has come up: everything is looked at again. */
  function namespaceChanged(change: Change<KubeObject>): void {
    const [newest, previous] = versionsOf(change);
    mapped.namespaceChanged(newest);
    if (newest.metadata.name !== 'kube-system' || newest.metadata.uid === previous?.metadata.uid) return;
    for (const { type } of kinds) {
      for (const object of pairOf<KubeObject>(pairs, type)?.virtual.list() ?? []) {
        queue.add(kindKey(type, keyOf(object)));
      }
    }
  }

  function onError(id: string, error: unknown): void {
    const code = error instanceof MayflyError ? error.code : 'Unexpected';
    metrics?.failed(parseKindKey(id).kind, code);
    const level = isOvertaken(error) ? 'debug' : error instanceof MayflyError ? 'info' : 'error';
    logger[level]({ key: id, code, reason: errorMessage(error) }, 'will be tried again');
  }

  return {
    stores,
    context,
    follow: copies.follow,
    synced: copies.synced,
    hasSynced: copies.hasSynced,

    async run(signal) {
      const watching = copies.run(signal);
      try {
        // Before both sides are known, what seems absent may only not have arrived.
        await copies.synced(signal);
      } catch {
        return watching;
      }
      await runWorkers(queue, {
        concurrency: WORKERS,
        signal,
        async handle(id, handlerSignal) {
          const { kind, key } = parseKindKey(id);
          await reconcilers.get(kind)?.(key, handlerSignal);
        },
        onError,
      });
      queue.close();
      await watching;
    },
  };
}

/** What began or ceased to be referred to. */
function changedReferences({ references }: AnyKind, change: Change<KubeObject>): string[] {
  if (!references) return [];
  const before = change.type === 'added' ? [] : references(change.previous).map(referenceIndexKey);
  const after = change.type === 'deleted' ? [] : references(change.object).map(referenceIndexKey);
  return [
    ...after.filter((reference) => !before.includes(reference)),
    ...before.filter((reference) => !after.includes(reference)),
  ];
}

function ownerOf({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[ANNOTATION_UID];
}

/** The newest version first. */
function versionsOf<T>(change: Change<T>): [T, ...T[]] {
  if (change.type === 'deleted') return [change.previous];
  return change.type === 'added' ? [change.object] : [change.object, change.previous];
}
