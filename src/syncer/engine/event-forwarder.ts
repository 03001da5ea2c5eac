// Carries the host's events about synced objects inside. They are many and short-lived: none is kept, and a tenant whose
// pods make a storm of them loses events rather than slowing others down.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isForbidden, isNotFound } from '../../kube/errors.ts';
import {
  EVENTS,
  type KubeObject,
  keyOf,
  type ObjectKey,
  objectKey,
  parseKey,
  type ResourceType,
} from '../../kube/resource.ts';
import type { Change, Store } from '../../kube/store.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { createTeller } from '../host-text.ts';
import type { TranslationContext } from '../kind.ts';
import { lastSeenMs, toVirtualEvent } from '../kinds/events/event.ts';
import type { AnyKind } from '../kinds/registry.ts';
import { ANNOTATION_UID, kindKey, virtualKeyOf } from '../names.ts';
import type { Event } from '../objects.ts';
import { pairOf, type StorePairs } from '../stores.ts';
import { createRateLimit } from './rate-limit.ts';

/** Events that wait to be carried over; beyond, the oldest is dropped. */
const PENDING_AT_MOST = 1_000;
/** What happened earlier was carried over by the process before, or is of no use any more. */
const TOO_OLD_MS = 5 * 60_000;

export interface EventForwarder {
  readonly type: ResourceType;
  onChange(change: Change<Event>): void;
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<void>;
}

export interface EventForwarderDeps {
  kinds: readonly AnyKind[];
  pairs: StorePairs;
  virtual: Pick<KubeClient, 'create' | 'patch'>;
  context: TranslationContext;
  queue: WorkQueue;
  clock: Clock;
  onDropped(): void;
}

export function createEventForwarder(deps: EventForwarderDeps): EventForwarder {
  const { kinds, pairs, virtual: virtualApi, context, queue, clock, onDropped } = deps;
  const pending = new Map<ObjectKey, Event>();
  const limit = createRateLimit({ perSecond: 20, burst: 200, clock });

  /** The synced object that a host event is about; events about anything else stay on the host. */
  function subjectOf({
    type,
    involvedObject,
  }: Event): { kind: AnyKind; host: KubeObject; virtual: KubeObject } | undefined {
    const { kind: name, apiVersion = 'v1', uid, fieldPath = '' } = involvedObject;
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    const kind = kinds.find((synced) => synced.type.kind === name && synced.type.group === group);
    const pair = kind && pairOf<KubeObject>(pairs, kind.type);
    const host = pair?.host.get(
      objectKey({ namespace: involvedObject.namespace, name: involvedObject.name ?? '' }),
    );
    const key = host && virtualKeyOf(host.metadata);
    const virtual = key === undefined ? undefined : pair?.virtual.get(key);
    if (!kind || !host || !virtual || (uid && uid !== host.metadata.uid)) return undefined;
    if (host.metadata.annotations?.[ANNOTATION_UID] !== virtual.metadata.uid) return undefined;
    // What goes wrong is told wherever it does.
    const isTold = type === 'Warning' || (kind.tellsEventsOf?.(virtual, fieldPath) ?? true);
    return isTold ? { kind, host, virtual } : undefined;
  }

  return {
    type: EVENTS,

    onChange(change) {
      if (change.type === 'deleted' || clock.nowMs() - lastSeenMs(change.object) > TOO_OLD_MS) return;
      if (!subjectOf(change.object)) return;
      const key = keyOf(change.object);
      pending.delete(key);
      pending.set(key, change.object);
      const [oldest] = pending.keys();
      if (pending.size > PENDING_AT_MOST && oldest !== undefined) {
        pending.delete(oldest);
        onDropped();
      }
      queue.add(kindKey(EVENTS, key));
    },

    async reconcile(key, signal) {
      const event = pending.get(key);
      const subject = event && subjectOf(event);
      if (!event || !subject) return void pending.delete(key);
      if (!limit.take()) {
        pending.delete(key);
        return onDropped();
      }
      const { kind, host, virtual } = subject;
      const tell = createTeller(host, virtual, () => kind.references?.(virtual) ?? [], context);
      await write(virtualApi, toVirtualEvent(event, kind.type, virtual, tell), signal);
      if (pending.get(key) === event) pending.delete(key);
    },
  };
}

async function write(api: EventForwarderDeps['virtual'], event: Event, signal: AbortSignal): Promise<void> {
  try {
    await api.create(EVENTS, event, { signal });
  } catch (error) {
    // The namespace is on its way out.
    if (isForbidden(error) || isNotFound(error)) return;
    if (!isAlreadyExists(error)) throw error;
    const { count, lastTimestamp, message } = event;
    await api.patch(
      EVENTS,
      parseKey(keyOf(event)),
      { type: 'merge', body: { count, lastTimestamp, message } },
      { signal },
    );
  }
}

/** A store that hands on and keeps only versions: what has been handed on is not needed again. */
export function createPassingStore<T extends KubeObject>(): Store<T> {
  let versions = new Map<ObjectKey, string | undefined>();
  const added = (object: T): Change<T> => ({ type: 'added', object });
  return {
    get: () => undefined,
    list: () => [],
    byIndex: () => [],
    get size() {
      return versions.size;
    },
    replace(objects) {
      const before = versions;
      versions = new Map(objects.map((object) => [keyOf(object), object.metadata.resourceVersion]));
      return objects
        .filter((object) => before.get(keyOf(object)) !== object.metadata.resourceVersion)
        .map((object) => added(object));
    },
    apply(type, object) {
      const key = keyOf(object);
      if (type === 'DELETED') return void versions.delete(key);
      versions.set(key, object.metadata.resourceVersion);
      return added(object);
    },
    learn: () => undefined,
  };
}
