// Kinds that the host leads: shown inside for as long as the host has them, and written only when they say something new.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isInvalid, isNotFound } from '../../kube/errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  keyOf,
  type ObjectKey,
  parseKey,
  type ResourceType,
} from '../../kube/resource.ts';
import type { ReadStore, Store } from '../../kube/store.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { sameOnWire } from '../equality.ts';
import type { Observation, Side, TranslationContext } from '../kind.ts';
import { ANNOTATION_FROM_HOST, kindKey } from '../names.ts';
import type { StorePairs, SyncerStores } from '../stores.ts';

/** What a kind may look at to say what the host has. */
export interface UpwardView {
  readonly stores: SyncerStores;
  readonly pairs: StorePairs;
  readonly context: TranslationContext;
  /** Without, the local copies of what is not in the namespace of this cluster are empty. */
  readonly readsHostWide: boolean;
}

/** Pure functions and facts, like a `SyncedKind`. */
export interface UpwardKind<T extends KubeObject> {
  readonly type: ResourceType;
  /** The API of either side may not have this kind, come to have it and lose it again: it is shown while both have it. */
  readonly isOptional?: boolean;
  /** Of all namespaces of the host, with the right to read host-wide. Default: what has no namespace. */
  readonly isHostWide?: boolean;
  /** The only namespace of the host that is looked at. */
  readonly hostNamespace?: string;
  /** Some of its fields can never change: where the host has others, the virtual object is deleted and made anew. */
  readonly isReplaced?: boolean;
  /** An empty local copy. */
  createStore(side: Side): Store<T>;
  /** How long the virtual object outlives the last reason to show it. */
  readonly lingerMs: number;
  readonly observes: readonly Observation[];
  /** What the host says about it; undefined when there is no reason to show it. */
  source(key: ObjectKey, view: UpwardView): T | undefined;
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
  view: UpwardView;
  /** Whether the APIs of both sides have the kind. */
  isServed(type: ResourceType): boolean;
  queue: WorkQueue;
  clock: Clock;
}

export function createUpwardSync<T extends KubeObject>(kind: UpwardKind<T>, deps: UpwardDeps<T>): UpwardSync {
  const { client, virtuals, view, queue, clock } = deps;
  const { type } = kind;
  const isSame = kind.isSame ?? sameOnWire;
  const creations = new Map<ObjectKey, Promise<void>>();
  /** Since when there has been no reason to show an object. */
  const unneededSinceMs = new Map<ObjectKey, number>();

  async function create(source: T, signal: AbortSignal): Promise<void> {
    const object = marked(kind.toVirtual(source, undefined));
    try {
      await client.create(type, { apiVersion: apiVersionOf(type), kind: type.kind, ...object }, { signal });
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
    const next = marked(kind.toVirtual(source, virtual));
    if (isSame(next, virtual)) return;
    try {
      await write(next, virtual, signal);
    } catch (error) {
      if (!kind.isReplaced || !isInvalid(error)) throw error;
      // Its end is seen, and it is made anew then.
      await remove(virtual, signal);
    }
  }

  async function write(next: T, virtual: T, signal: AbortSignal): Promise<void> {
    const { status, ...rest }: T & { status?: unknown } = next;
    const { status: oldStatus, ...oldRest }: T & { status?: unknown } = virtual;
    let current = next;
    if (!sameOnWire(rest, oldRest)) {
      const written = await client.update(type, next, { signal });
      current = { ...next, metadata: written.metadata };
    }
    if (!sameOnWire(status, oldStatus)) await client.update(type, current, { signal, subresource: 'status' });
  }

  async function retire(key: ObjectKey, virtual: T, signal: AbortSignal): Promise<void> {
    const { metadata } = virtual;
    if (metadata.annotations?.[ANNOTATION_FROM_HOST] !== 'true' || metadata.deletionTimestamp) return;
    const nowMs = clock.monotonicMs();
    const sinceMs = unneededSinceMs.get(key) ?? nowMs;
    unneededSinceMs.set(key, sinceMs);
    const leftMs = sinceMs + kind.lingerMs - nowMs;
    if (leftMs > 0) return queue.addAfter(kindKey(type, key), leftMs);
    unneededSinceMs.delete(key);
    await remove(virtual, signal);
  }

  async function remove(virtual: T, signal: AbortSignal): Promise<void> {
    const { uid } = virtual.metadata;
    try {
      await client.delete(type, parseKey(keyOf(virtual)), { signal, preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  return {
    type,
    observes: kind.observes,
    async reconcile(key, signal) {
      if (!deps.isServed(type)) return;
      const source = kind.source(key, view);
      const virtual = virtuals.get(key);
      if (source) unneededSinceMs.delete(key);
      if (source && virtual) return update(virtual, source, signal);
      if (source) return createOnce(key, source, signal);
      if (virtual) return retire(key, virtual, signal);
      unneededSinceMs.delete(key);
    },
    async ensure(key, signal) {
      const source = kind.source(key, view);
      if (source && !virtuals.get(key)) await createOnce(key, source, signal);
    },
  };
}

function marked<T extends KubeObject>(object: T): T {
  const { metadata } = object;
  const annotations = { ...metadata.annotations, [ANNOTATION_FROM_HOST]: 'true' };
  return { ...object, metadata: { ...metadata, annotations } };
}
