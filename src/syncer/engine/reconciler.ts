// Brings one virtual object and its host copy together. The same for all kinds; a kind says only what its objects look like.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  keyOf,
  type ObjectKey,
  objectKey,
  parseKey,
  type ResourceType,
} from '../../kube/resource.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { UnavailableError } from '../../lib/errors.ts';
import { sameOnWire } from '../equality.ts';
import { onHost, RefusedError, type Step, type TranslationContext } from '../kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import { ANNOTATION_STORE, ANNOTATION_UID, type KindKey, kindKey } from '../names.ts';
import { copyOf, hostCopy, INDEX, pairOf, referenceIndexKey, type StorePairs } from '../stores.ts';
import type { Departed } from './departed.ts';
import type { Expectations } from './expectations.ts';
import { createProblems, isFinal } from './problems.ts';
import type { Recorder } from './recorder.ts';
import { type StoreIdentity, StoreReplacedError } from './store-identity.ts';
import { refusedIfTooLarge, requireStorable } from './too-large.ts';

/** After so many tries a host object that should have been reserved is taken for missing, and made. */
const RESERVATION_TRIES = 5;

/** How long until it is asked again whether a copy that might be referred to by a kind nobody could list yet may go. */
const UNKNOWN_MS = 2_000;

/** Something that belongs to a host object of a kind and has to be there before it: the tokens of a pod. */
export interface Companion {
  /** Makes it, or makes it anew when it is due; asks to be called again in time. */
  ensure(virtual: KubeObject, signal: AbortSignal): Promise<void>;
  remove(key: ObjectKey, signal: AbortSignal): Promise<void>;
}

export interface ReconcilerDeps {
  kinds: readonly AnyKind[];
  pairs: StorePairs;
  host: KubeClient;
  virtual: KubeClient;
  context: TranslationContext;
  identity: StoreIdentity;
  expectations: Expectations;
  departed: Departed;
  recorder: Recorder;
  queue: WorkQueue;
  clock: Clock;
  companion: Companion | undefined;
  /** Whether the APIs of both sides have the kind. */
  isServed(type: ResourceType): boolean;
  /** Whether it is known what there is inside of the kind. */
  isKnown(type: ResourceType): boolean;
  /** Resolves when the virtual Node exists. */
  ensureNode(name: string, signal: AbortSignal): Promise<void>;
  /** Told of every host object that belongs to another store. */
  onStoreReplaced(error: StoreReplacedError): void;
}

export interface Reconciler {
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<void>;
}

type Parts = KubeObject & { status?: unknown };

export function createReconciler(kind: AnyKind, deps: ReconcilerDeps): Reconciler {
  const {
    pairs,
    host: hostApi,
    virtual: virtualApi,
    context,
    identity,
    expectations,
    departed,
    recorder,
    queue,
    companion,
  } = deps;
  const { type } = kind;
  const when = typeof kind.when === 'function' ? kind.when(context.sync) : kind.when;
  const copies = copyOf<KubeObject>(pairs, type);
  const referrers = deps.kinds.filter(({ references }) => references);
  const problems = createProblems(kind, deps);

  async function reconcile(key: ObjectKey, signal: AbortSignal): Promise<void> {
    if (!deps.isServed(type)) return;
    const virtual = copies.virtual.get(key);
    const host = hostCopy(copies.host, key);
    if (virtual && host) await tellHeld(key, virtual, host, signal);
    try {
      await bringTogether(key, virtual, host, signal);
      if (virtual) problems.recovered(virtual);
    } catch (caught) {
      const error = refusedIfTooLarge(caught);
      if (virtual) await problems.tell(virtual, error, signal);
      if (error instanceof StoreReplacedError) deps.onStoreReplaced(error);
      if (!isFinal(error)) throw error;
    }
  }

  async function bringTogether(
    key: ObjectKey,
    virtual: KubeObject | undefined,
    host: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const id = kindKey(type, key);
    const pendingMs = host ? 0 : expectations.pendingMs(id);
    if (pendingMs > 0) return queue.addAfter(id, pendingMs);
    if (host && host.metadata.annotations?.[ANNOTATION_STORE] !== identity.current()) {
      throw new StoreReplacedError(host.metadata.annotations?.[ANNOTATION_STORE], identity.current());
    }
    if (!virtual || (host && !isCopyOf(host, virtual))) {
      departed.forget(id);
      if (host) await removeOrphan(host, signal, kind.orphanGraceSeconds);
      else await companion?.remove(key, signal);
      return;
    }
    const step = kind.step?.(virtual, host);
    if (step) return run(step, virtual, host, signal);
    if (when === 'referenced' && !isReferenced(key)) {
      if (!host) return;
      if (!referrers.every((referrer) => deps.isKnown(referrer.type))) return queue.addAfter(id, UNKNOWN_MS);
      return removeOrphan(host, signal);
    }
    // What is about to end inside is not begun on the host.
    if (!host && virtual.metadata.deletionTimestamp) return;
    const desired = await translate(virtual, host, signal);
    if (!desired) return;
    for (const notice of kind.notices?.(virtual, context) ?? [])
      await recorder.warn(type, virtual, notice, signal);
    if (!host) return create(id, virtual, desired, signal);
    await companion?.ensure(virtual, signal);
    const { current, problem } = await updateHost(host, desired, virtual, signal);
    // What the host refuses to change does not keep its news from flowing back.
    if (!isConflict(problem)) await bringBack(current, virtual, signal);
    if (problem) throw problem;
  }

  /** The desired host object; a host copy of what has none, or is refused now, goes away. */
  async function translate(
    virtual: KubeObject,
    host: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined> {
    try {
      const body = kind.toHost(virtual, context);
      if (body)
        return onHost(type, { apiVersion: apiVersionOf(type), kind: type.kind, ...body }, virtual, context);
      if (host) await removeOrphan(host, signal);
      return undefined;
    } catch (error) {
      if (error instanceof RefusedError && host) await removeOrphan(host, signal);
      throw error;
    }
  }

  function isReferenced(key: ObjectKey): boolean {
    const value = kindKey(type, key);
    return referrers.some(
      (referrer) => (pairOf(pairs, referrer.type)?.virtual.byIndex(INDEX.byReference, value).length ?? 0) > 0,
    );
  }

  /** Whether everything `virtual` refers to is on the host. What exists nowhere is waited for only where the cluster makes it. */
  function hasItsReferences(virtual: KubeObject): boolean {
    return (kind.references?.(virtual) ?? []).every((reference) => {
      const pair = pairOf<KubeObject>(pairs, reference.type);
      const referred = pair?.virtual.get(objectKey(reference));
      if (!pair || reference.isAwaited === false) return true;
      if (!referred) return !reference.isExpected;
      const copy = hostCopy(pair.host, objectKey(reference));
      return copy !== undefined && isCopyOf(copy, referred);
    });
  }

  async function create(
    id: KindKey,
    virtual: KubeObject,
    desired: KubeObject,
    signal: AbortSignal,
  ): Promise<void> {
    const reserved = kind.findReserved?.(virtual, copies.host);
    if (reserved === 'not-seen' && queue.retries(id) < RESERVATION_TRIES) {
      throw new UnavailableError({
        code: 'ReservationNotSeen',
        message: 'the reserved host object is not seen yet',
      });
    }
    // Adopted where it is and under the name it has.
    if (reserved && reserved !== 'not-seen') return update(reserved, desired, virtual, signal);
    // The arrival of a reference on the host queues this object again.
    if (!hasItsReferences(virtual)) return;
    requireStorable(desired);
    // In this order: a kubelet that finds a pod before its tokens waits, and longer each time.
    await companion?.ensure(virtual, signal);
    expectations.creating(id);
    try {
      await hostApi.create(type, desired, { signal });
    } catch (error) {
      expectations.settled(id);
      if (!isAlreadyExists(error)) throw error;
      await requireOurs(desired, virtual, signal);
    }
  }

  /** The name is taken: by ourselves, when an answer was lost or the local copy is behind, or by somebody else. */
  async function requireOurs(desired: KubeObject, virtual: KubeObject, signal: AbortSignal): Promise<void> {
    const { namespace, name = '' } = desired.metadata;
    const found = await hostApi.get<KubeObject>(type, { namespace, name }, { signal });
    const store = found.metadata.annotations?.[ANNOTATION_STORE];
    if (isCopyOf(found, virtual) && store === identity.current()) {
      throw copyBehind();
    }
    if (store !== undefined && store !== identity.current())
      throw new StoreReplacedError(store, identity.current());
    throw new RefusedError('NameTaken', 'what has its name on the host belongs to somebody else');
  }

  async function update(
    host: KubeObject,
    desired: KubeObject,
    virtual: KubeObject,
    signal: AbortSignal,
  ): Promise<void> {
    const { problem } = await updateHost(host, desired, virtual, signal);
    if (problem) throw problem;
  }

  /** Every part is tried, whichever the host refuses; the first problem is returned beside what the host holds now. */
  async function updateHost(
    host: KubeObject,
    desired: KubeObject,
    virtual: KubeObject,
    signal: AbortSignal,
  ): Promise<{ current: KubeObject; problem?: unknown }> {
    let current = host;
    let problem: unknown;
    const write = async (next: KubeObject, subresource?: string) => {
      if (isConflict(problem) || sameOnWire(next, current)) return;
      try {
        current = await hostApi.update(type, next, { signal, subresource });
      } catch (error) {
        problem ??= error;
      }
    };
    await write(kind.merge(current, desired));
    // What they refer to has to be there first; its arrival on the host queues this object again.
    const parts = kind.subresources && hasItsReferences(virtual) ? kind.subresources : [];
    for (const { name, toHost } of parts) await write(toHost(current, virtual, context), name);
    if (kind.toHostStatus) await write(kind.toHostStatus(current, virtual), 'status');
    return { current, problem };
  }

  async function bringBack(host: KubeObject, virtual: KubeObject, signal: AbortSignal): Promise<void> {
    const next = kind.toVirtual?.(host, virtual, context);
    if (!next) return;
    const { status, ...rest }: Parts = next;
    const { status: oldStatus, ...oldRest }: Parts = virtual;
    let current = next;
    if (!sameOnWire(rest, oldRest)) {
      const written = await virtualApi.update<Parts>(type, { ...rest, status: oldStatus }, { signal });
      current = { ...next, metadata: written.metadata };
    }
    if (!sameOnWire(status, oldStatus)) {
      await virtualApi.update(type, current, { signal, subresource: 'status' });
    }
  }

  /** How the host object ended, when it went before that was told inside. */
  async function bringBackLast(virtual: KubeObject, signal: AbortSignal): Promise<void> {
    const id = kindKey(type, keyOf(virtual));
    const last = departed.get(id);
    if (last && isCopyOf(last, virtual)) await bringBack(last, virtual, signal);
    departed.forget(id);
  }

  async function run(
    step: Step<KubeObject>,
    virtual: KubeObject,
    host: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    switch (step.do) {
      case 'wait':
        return;
      case 'delete-host':
        if (host) await remove(hostApi, host, signal, step.gracePeriodSeconds);
        return;
      case 'delete-virtual':
        if (step.confirm) await requireAbsent(virtual, signal);
        if (!host) await companion?.remove(keyOf(virtual), signal);
        if (!host) await bringBackLast(virtual, signal);
        return remove(virtualApi, virtual, signal, step.gracePeriodSeconds);
      case 'bind':
        return bind(virtual, step.node, signal);
      case 'write-virtual':
        await virtualApi.update(type, step.object, { signal, subresource: step.subresource });
        return;
    }
  }

  /** That the host has no copy any more must be true on the host, not only in a local copy, before the original goes. */
  async function requireAbsent(virtual: KubeObject, signal: AbortSignal): Promise<void> {
    const name = context.hostName(type, parseKey(keyOf(virtual)));
    try {
      const found = await hostApi.get(type, { namespace: context.hostNamespace, name }, { signal });
      if (!isCopyOf(found, virtual)) return;
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
    throw copyBehind();
  }

  async function bind({ metadata }: KubeObject, node: string, signal: AbortSignal): Promise<void> {
    await deps.ensureNode(node, signal);
    const { namespace, name = '', uid } = metadata;
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { namespace, name, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    await virtualApi.create(type, binding, { signal, subresource: 'binding', name });
  }

  /** A host object whose virtual one is gone, or does without: only when the virtual API still serves the store it came from. */
  async function removeOrphan(host: KubeObject, signal: AbortSignal, graceSeconds?: number): Promise<void> {
    const { deletionTimestamp, deletionGracePeriodSeconds: leftSeconds = 0, annotations } = host.metadata;
    if (deletionTimestamp && (graceSeconds ?? leftSeconds) >= leftSeconds) return;
    await identity.confirm(annotations?.[ANNOTATION_STORE], signal);
    await remove(hostApi, host, signal, graceSeconds);
  }

  async function remove(
    api: KubeClient,
    { metadata }: KubeObject,
    signal: AbortSignal,
    gracePeriodSeconds?: number,
  ): Promise<void> {
    const { namespace, name = '', uid } = metadata;
    try {
      await api.delete(type, { namespace, name }, { signal, gracePeriodSeconds, preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async function tellHeld(
    key: ObjectKey,
    virtual: KubeObject,
    host: KubeObject,
    signal: AbortSignal,
  ): Promise<void> {
    const leftMs = await problems.tellHeld(virtual, host, signal);
    if (leftMs > 0) queue.addAfter(kindKey(type, key), leftMs);
  }

  return { reconcile };
}

function isCopyOf(host: KubeObject, { metadata }: KubeObject): boolean {
  return host.metadata.annotations?.[ANNOTATION_UID] === metadata.uid;
}

function copyBehind(): UnavailableError {
  return new UnavailableError({
    code: 'CopyBehind',
    message: 'the local copy does not show the host object yet',
  });
}

/** Keys that have to be looked at again when what they refer to has changed. */
export function referrersOf(
  kinds: readonly AnyKind[],
  pairs: StorePairs,
  changed: AnyKind,
  key: ObjectKey,
): KindKey[] {
  const value = referenceIndexKey({ type: changed.type, ...parseKey(key) });
  return kinds.flatMap(({ type, references }) =>
    references
      ? (pairOf<KubeObject>(pairs, type)?.virtual.byIndex(INDEX.byReference, value) ?? []).map((object) =>
          kindKey(type, keyOf(object)),
        )
      : [],
  );
}
