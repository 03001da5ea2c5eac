// Kinds that the host leads: shown inside for as long as the host has them, and written only when they say something new.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  type ObjectKey,
  parseKey,
  type ResourceType,
} from '../../kube/resource.ts';
import type { ReadStore, Store } from '../../kube/store.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { sameOnWire } from '../equality.ts';
import type { ClusterFacts, Observation } from '../kind.ts';
import { ANNOTATION_FROM_HOST, kindKey } from '../names.ts';
import type { SyncerStores } from '../stores.ts';

/** Pure functions and facts, like a `SyncedKind`. */
export interface UpwardKind<T extends KubeObject> {
  readonly type: ResourceType;
  /** An empty local copy, for either side. */
  createStore(): Store<T>;
  /** How long the virtual object outlives the last reason to show it. */
  readonly lingerMs: number;
  readonly observes: readonly Observation[];
  /** What the host says about it; undefined when there is no reason to show it. */
  source(key: ObjectKey, stores: SyncerStores, facts: ClusterFacts): T | undefined;
  /** The virtual object: what `source` says by allow-list, put onto what `virtual` has of its own. */
  toVirtual(source: T, virtual: T | undefined): T;
  /** Whether two versions say the same to a user. Default: the same on the wire. */
  isSame?(one: T, other: T): boolean;
}

export interface UpwardSync {
  readonly type: ResourceType;
  readonly observes: readonly Observation[];
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<void>;
  /** Resolves when the virtual object exists. Calls for one key share a request. */
  ensure(key: ObjectKey, signal: AbortSignal): Promise<void>;
}

export interface UpwardDeps<T extends KubeObject> {
  client: KubeClient;
  virtuals: ReadStore<T>;
  stores: SyncerStores;
  facts: ClusterFacts;
  queue: WorkQueue;
  clock: Clock;
}

export function createUpwardSync<T extends KubeObject>(kind: UpwardKind<T>, deps: UpwardDeps<T>): UpwardSync {
  const { client, virtuals, stores, facts, queue, clock } = deps;
  const { type } = kind;
  const isSame = kind.isSame ?? sameOnWire;
  const creations = new Map<ObjectKey, Promise<void>>();
  /** Since when there has been no reason to show an object. */
  const unneededSinceMs = new Map<ObjectKey, number>();

  async function create(source: T, signal: AbortSignal): Promise<void> {
    const object = kind.toVirtual(source, undefined);
    const annotations = { ...object.metadata.annotations, [ANNOTATION_FROM_HOST]: 'true' };
    const marked = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      ...object,
      metadata: { ...object.metadata, annotations },
    };
    try {
      await client.create(type, marked, { signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  function createOnce(key: ObjectKey, source: T, signal: AbortSignal): Promise<void> {
    const running = creations.get(key);
    if (running) return running;
    const creation = create(source, signal).finally(() => creations.delete(key));
    creations.set(key, creation);
    return creation;
  }

  async function update(virtual: T, source: T, signal: AbortSignal): Promise<void> {
    const next = kind.toVirtual(source, virtual);
    if (isSame(next, virtual)) return;
    const { status, ...rest }: T & { status?: unknown } = next;
    const { status: oldStatus, ...oldRest }: T & { status?: unknown } = virtual;
    let current = next;
    if (!sameOnWire(rest, oldRest)) {
      const written = await client.update(type, next, { signal });
      current = { ...next, metadata: written.metadata };
    }
    if (!sameOnWire(status, oldStatus)) await client.update(type, current, { signal, subresource: 'status' });
  }

  async function retire(key: ObjectKey, { metadata }: T, signal: AbortSignal): Promise<void> {
    if (metadata.annotations?.[ANNOTATION_FROM_HOST] !== 'true' || metadata.deletionTimestamp) return;
    const nowMs = clock.monotonicMs();
    const sinceMs = unneededSinceMs.get(key) ?? nowMs;
    unneededSinceMs.set(key, sinceMs);
    const leftMs = sinceMs + kind.lingerMs - nowMs;
    if (leftMs > 0) return queue.addAfter(kindKey(type, key), leftMs);
    unneededSinceMs.delete(key);
    try {
      await client.delete(type, parseKey(key), { signal, preconditions: { uid: metadata.uid } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  return {
    type,
    observes: kind.observes,
    async reconcile(key, signal) {
      const source = kind.source(key, stores, facts);
      const virtual = virtuals.get(key);
      if (source) unneededSinceMs.delete(key);
      if (source && virtual) return update(virtual, source, signal);
      if (source) return createOnce(key, source, signal);
      if (virtual) return retire(key, virtual, signal);
      unneededSinceMs.delete(key);
    },
    async ensure(key, signal) {
      const source = kind.source(key, stores, facts);
      if (source && !virtuals.get(key)) await createOnce(key, source, signal);
    },
  };
}
