// What keeps a virtual object and its host copy apart: which of it waiting can change, and how its user is told, by events on the
// virtual object and with the names inside.
import { isConflict, isNamespaceTerminating, isNotFound, isRetryable, KubeError } from '../../kube/errors.ts';
import { type KubeObject, keyOf, parseKey } from '../../kube/resource.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { createTeller, OF_THE_SYNCER } from '../host-text.ts';
import { RefusedError, type TranslationContext } from '../kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import { kindKey } from '../names.ts';
import type { Recorder } from './recorder.ts';
import { StoreReplacedError } from './store-identity.ts';

/** Reasons of the events, besides those of a kind's own notices. */
const REFUSED = 'SyncRefused';
const FAILED = 'SyncFailed';
const REPLACED = 'StoreReplaced';
const HELD = 'DeletionHeld';

/** After so many tries an internal error is taken for one that is about this object, and stays: it would have passed by now. */
const INTERNAL_ERROR_TRIES = 4;

/** So long after its time to end a host object may be there without a word: most finalizers do their work in seconds. */
const HELD_AFTER_MS = 10_000;

/** A grace period may be longer than timers can be. */
const LOOK_AGAIN_MS = 3_600_000;

export interface Problems {
  /** Tells what the user can do something about. */
  tell(virtual: KubeObject, error: unknown, signal: AbortSignal): Promise<void>;
  /**
   * Tells that somebody's finalizer keeps a host object that should be gone.
   * @returns in how many milliseconds that is worth telling, if it still is so; 0 when there is nothing to come back for.
   */
  tellHeld(virtual: KubeObject, host: KubeObject, signal: AbortSignal): Promise<number>;
  /** If it fails again, that is told again. */
  recovered(virtual: KubeObject): void;
}

export interface ProblemsDeps {
  recorder: Recorder;
  context: TranslationContext;
  clock: Clock;
  queue: WorkQueue;
}

export function createProblems(
  { type, references }: AnyKind,
  { recorder, context, clock, queue }: ProblemsDeps,
): Problems {
  /** @param refused the name of the host object that was refused: one that was reserved has a name of its own until it is adopted. */
  function inWordsInside(virtual: KubeObject, text: string, refused: string | undefined): string {
    const name = refused ?? context.hostName(type, parseKey(keyOf(virtual)));
    const host = { metadata: { namespace: context.hostNamespace, name } };
    return createTeller(host, virtual, () => references?.(virtual) ?? [], context)(text);
  }

  function messageOf(virtual: KubeObject, error: KubeError): string | undefined {
    if (isOvertaken(error)) return undefined;
    if (isNamespaceTerminating(error))
      return 'this virtual cluster is being deleted on the host, where nothing new can be made for it';
    if (OF_THE_SYNCER.test(error.message)) return 'the host does not let the syncer do what it takes';
    // Of an invalid object it is the kind, else the resource.
    const isOfThis = error.details?.kind === type.kind || error.details?.kind === type.plural;
    const refused = isOfThis ? error.details?.name : undefined;
    if (!isRetryable(error)) return inWordsInside(virtual, error.message, refused);
    const tries = queue.retries(kindKey(type, keyOf(virtual)));
    if (error.status !== 500 || tries < INTERNAL_ERROR_TRIES) return undefined;
    // In its own words an internal error may name anything, addresses of the host's webhooks for one.
    return 'an internal error comes again and again, of the host or of a webhook of this cluster';
  }

  return {
    async tell(virtual, error, signal) {
      if (error instanceof RefusedError) {
        const message = `${error.message} (${error.code})`;
        return recorder.warn(type, virtual, { reason: REFUSED, message }, signal);
      }
      if (error instanceof StoreReplacedError) {
        return recorder.warn(type, virtual, { reason: REPLACED, message: error.message }, signal);
      }
      const message = error instanceof KubeError ? messageOf(virtual, error) : undefined;
      if (!message) return;
      await recorder.warn(
        type,
        virtual,
        { reason: FAILED, message, sameAs: (error as KubeError).code },
        signal,
      );
    },

    async tellHeld(virtual, { metadata: { deletionTimestamp, finalizers = [] } }, signal) {
      if (!deletionTimestamp || finalizers.length === 0) return 0;
      const leftMs = Date.parse(deletionTimestamp) + HELD_AFTER_MS - clock.nowMs();
      if (leftMs > 0) return Math.min(leftMs, LOOK_AGAIN_MS);
      const message = `the copy on the host is being deleted and waits for somebody's finalizer: ${finalizers.join(', ')}`;
      await recorder.warn(type, virtual, { reason: HELD, message }, signal);
      return 0;
    },

    recovered: (virtual) => recorder.recovered(virtual, FAILED),
  };
}

/** The world has moved on since it was looked at, which the next look will show. */
export function isOvertaken(error: unknown): boolean {
  return isConflict(error) || isNotFound(error);
}

/** Nothing that waiting could change: only a change of the objects themselves does, and that queues them anyway. */
export function isFinal(error: unknown): boolean {
  return (
    error instanceof RefusedError || error instanceof StoreReplacedError || isNamespaceTerminating(error)
  );
}
