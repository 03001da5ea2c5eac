// Keeps one collection of the API in a store: a paged list, then watches from where it ended, for as long as the process runs.
import { type Backoff, backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errorMessage, MayflyError, TimeoutError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { RESPONSE_TOO_LARGE } from './body.ts';
import type { KubeClient } from './client.ts';
import { errorOfStatus, isGone, isNotFound, KubeError } from './errors.ts';
import type { KubeObject, ResourceType } from './resource.ts';
import type { Change, Store } from './store.ts';

export type ReflectorState = 'listing' | 'watching' | 'backing-off' | 'absent' | 'stopped';

/** Called as a reflector goes along; src/kube/metrics.ts makes Prometheus figures of it. */
export interface ReflectorMetrics {
  state(state: ReflectorState): void;
  /** Something arrived: a page, an event or a bookmark. The store was current then. */
  heard(): void;
  /** A list has replaced the store. */
  listed(): void;
  failed(code: string): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  client: Pick<KubeClient, 'list' | 'watch'>;
  type: ResourceType;
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  store: Store<T>;
  /** Told of each change after the store has it, in order, and while nothing else happens: it must return soon. */
  onChange(change: Change<T>): void;
  /** Told each time a list has replaced the store, after its changes. */
  onRelist?(): void;
  logger: Logger;
  clock?: Clock;
  metrics?: ReflectorMetrics;
  /** Silence for this long breaks a watch. The API server sends a bookmark about every minute. Default 90 s. */
  idleTimeoutMs?: number;
  /** Between failures. Default: from 200 ms to 15 s. */
  backoff?: Backoff;
  /** Given for kinds that the API may not have, those of custom resources: told when one that was absent is served. */
  onServed?(): void;
}

/**
 * - The store is replaced by complete lists only: while the API server refuses, answers with errors or breaks off in the
 *   middle of a list, the store stays as it was.
 * - A list is a consistent read of the newest state, and the watch starts exactly where it ended: no change is missed.
 * - A watch that ends or fails is resumed from the last version that was seen. When the API server no longer has that version
 *   (410, in HTTP or inside the stream), and when resuming failed several times in a row (the server may have been restored
 *   from an older copy of its data), everything is listed again: `onChange` is told of what is different, deletions that
 *   nobody saw included.
 * - Failures back off with jitter, and no sooner than the server's `Retry-After`.
 * - With `onServed`, a kind that the API does not have (404) is an empty collection, and is asked for again now and then.
 */
export interface Reflector {
  /** Runs until the signal aborts; resolves then and never rejects. To be called once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the first list is in the store and its changes were handed on; rejects with the signal's reason. */
  synced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  /** Whether the API had the kind when it was last asked. */
  isServed(): boolean;
}

const PAGE_SIZE = 500;
const DEFAULT_IDLE_TIMEOUT_MS = 90_000;
const DEFAULT_BACKOFF: Backoff = { baseMs: 200, maxMs: 15_000 };
/** Watches end after five to ten minutes, not all at the same time, so that load spreads anew over API servers. */
const WATCH_SECONDS = { min: 300, max: 600 };
const MAX_RETRY_AFTER_MS = 5 * 60_000;
/** After so many failures in a row, resuming is given up and everything is listed again. */
const RESUME_ATTEMPTS = 4;
/** A watch that ends sooner than this without having said anything counts as a failure, or it would be reopened without pause. */
const SHORT_WATCH_MS = 1_000;
/** How long a kind may be there before it is seen, with up to half of that on top: sooner where it has only been missed. */
const ABSENT_MS = { first: 1_000, longest: 20_000 };

export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector {
  const { client, type, namespace, labelSelector, fieldSelector, store, onChange, onRelist, metrics } =
    options;
  const { onServed } = options;
  const { clock = systemClock, backoff = DEFAULT_BACKOFF, idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = options;
  const logger = options.logger.child({ resource: type.plural, ...(namespace && { namespace }) });
  const selection = { namespace, labelSelector, fieldSelector };
  const firstList = Promise.withResolvers<void>();
  let synced = false;
  let served = true;
  /** Where to resume; absent when everything must be listed. */
  let resourceVersion: string | undefined;
  let pageSize = PAGE_SIZE;
  let failures = 0;
  /** How often in a row the kind was not there. */
  let absences = 0;

  function handOn(change: Change<T>): void {
    try {
      onChange(change);
    } catch (error) {
      logger.error({ err: error }, 'a change was not taken');
    }
  }

  async function list(signal: AbortSignal): Promise<void> {
    metrics?.state('listing');
    const objects: T[] = [];
    let next: string | undefined;
    let version: string;
    do {
      const page = await client.list<T>(type, { ...selection, limit: pageSize, continue: next, signal });
      for (const item of page.items) objects.push(item);
      next = page.metadata.continue || undefined;
      version = page.metadata.resourceVersion;
      metrics?.heard();
    } while (next);
    signal.throwIfAborted();
    const wasServed = served;
    served = true;
    absences = 0;
    resourceVersion = version;
    fill(objects);
    metrics?.listed();
    onRelist?.();
    if (!wasServed) onServed?.();
  }

  function fill(objects: readonly T[]): void {
    for (const change of store.replace(objects)) handOn(change);
    synced = true;
    firstList.resolve();
  }

  /** A watch that is refused so may have been of a version that is no longer served: only a list says what there is. */
  async function notFound(signal: AbortSignal): Promise<void> {
    const wasListing = resourceVersion === undefined;
    resourceVersion = undefined;
    if (!wasListing) return;
    if (served) logger.info('the API does not have the kind');
    served = false;
    failures = 0;
    fill([]);
    metrics?.state('absent');
    const delayMs = Math.min(ABSENT_MS.longest, ABSENT_MS.first * 2 ** absences++);
    await clock.sleep(delayMs * (1 + Math.random() / 2), signal).catch(() => undefined);
  }

  async function watch(from: string, signal: AbortSignal): Promise<void> {
    metrics?.state('watching');
    const { min, max } = WATCH_SECONDS;
    const timeoutSeconds = Math.round(min + (max - min) * Math.random());
    const startedMs = clock.monotonicMs();
    let silent = true;
    const events = client.watch<T>(type, {
      ...selection,
      resourceVersion: from,
      timeoutSeconds,
      idleTimeoutMs,
      signal,
    });
    for await (const event of events) {
      if (event.type === 'ERROR') throw errorOfStatus(event.object);
      silent = false;
      failures = 0;
      metrics?.heard();
      if (event.type !== 'BOOKMARK') {
        const change = store.apply(event.type, event.object);
        if (change) handOn(change);
      }
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
    }
    if (silent && clock.monotonicMs() - startedMs < SHORT_WATCH_MS) throw shortWatch();
    failures = 0;
  }

  /** What to do about a failure: where to go on from, and how long to wait before that. */
  function afterFailure(error: unknown): number {
    const attempt = failures++;
    const code = error instanceof MayflyError ? error.code : 'Unexpected';
    const gone = isGone(error);
    metrics?.failed(code);
    if (gone || failures % RESUME_ATTEMPTS === 0) resourceVersion = undefined;
    if (code === RESPONSE_TOO_LARGE) pageSize = Math.max(1, Math.floor(pageSize / 2));
    const retryAfterMs = (error instanceof KubeError && error.retryAfterMs) || 0;
    const expected = gone || error instanceof TimeoutError;
    logger[expected ? 'info' : 'warn'](
      { code, reason: errorMessage(error), failures },
      'reflector interrupted',
    );
    if (gone && attempt === 0) return 0;
    return Math.max(backoffDelayMs(backoff, attempt), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS));
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        try {
          if (resourceVersion === undefined) await list(signal);
          else await watch(resourceVersion, signal);
        } catch (error) {
          if (signal.aborted) break;
          if (onServed && isNotFound(error)) {
            await notFound(signal);
            continue;
          }
          const delayMs = afterFailure(error);
          metrics?.state('backing-off');
          await clock.sleep(delayMs, signal).catch(() => undefined);
        }
      }
      metrics?.state('stopped');
    },

    async synced(signal) {
      signal.throwIfAborted();
      const aborted = Promise.withResolvers<never>();
      const onAbort = () => aborted.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await Promise.race([firstList.promise, aborted.promise]);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },

    hasSynced: () => synced,
    isServed: () => served,
  };
}

function shortWatch(): MayflyError {
  return new MayflyError({
    code: 'ShortWatch',
    message: 'the watch ended at once without an event',
  });
}
