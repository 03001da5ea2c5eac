// Which keys to reconcile next, with the guarantees of client-go's workqueue (k8s.io/client-go/util/workqueue).
import { type Backoff, backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { createKeyLine } from './key-line.ts';

export type Priority = 'high' | 'normal';

/**
 * - A key that is added while it waits is not queued twice.
 * - A key is never handed out again before `done` was called for it: it never runs twice at once.
 * - A key that is added while it runs is queued once more when it is done: no addition is ever lost, and any number of
 *   additions during a run collapse into one rerun.
 * - Keys are handed out in the order of their addition; all of high priority before any of normal priority, which therefore
 *   wait for as long as there are any.
 *
 * What is held is one entry a key, so the number of keys bounds it. After `close` every addition is ignored.
 */
export interface WorkQueue {
  /** Adding with high priority what waits with normal priority moves it forward; never the other way round. */
  add(key: string, priority?: Priority): void;
  /** Adds the key with normal priority when `delayMs` have passed. Of several delays for one key the one that ends first counts. */
  addAfter(key: string, delayMs: number): void;
  /** Adds the key after the backoff of its failures so far, this one counted. */
  addRateLimited(key: string): void;
  /** The key has succeeded: its next failure is the first. Must be called for every key that failed once, or its count stays. */
  forget(key: string): void;
  /** Failures since the last `forget`. */
  retries(key: string): number;
  /** Keys that wait to be handed out; not those that run or are delayed. */
  readonly depth: number;
  /**
   * The next key, to be given back with `done`; waits for one. Resolves with nothing once the queue is closed or the signal
   * aborts.
   */
  next(signal: AbortSignal): Promise<string | undefined>;
  done(key: string): void;
  /** Ends all waiting and forgets what is queued: state is read again at the next start anyway. */
  close(): void;
}

/** Called at each turn of a key's life; src/kube/metrics.ts makes Prometheus figures of it. */
export interface WorkQueueMetrics {
  depth(keys: number): void;
  added(): void;
  retried(): void;
  /** How long the key waited. */
  started(waitedMs: number): void;
  /** How long the key ran. */
  finished(ranMs: number): void;
}

export interface WorkQueueOptions {
  /** For `addRateLimited`. Default: from 20 ms to 60 s. */
  backoff?: Backoff;
  clock?: Clock;
  metrics?: WorkQueueMetrics;
}

const DEFAULT_BACKOFF: Backoff = { baseMs: 20, maxMs: 60_000 };

export function createWorkQueue({
  backoff = DEFAULT_BACKOFF,
  clock = systemClock,
  metrics,
}: WorkQueueOptions = {}): WorkQueue {
  const waiting = { high: createKeyLine(), normal: createKeyLine() };
  const running = new Map<string, { startedMs: number; again?: Priority }>();
  const delayed = new Map<string, { dueMs: number; cancel: AbortController }>();
  const failures = new Map<string, number>();
  const idle = new Set<(key: string | undefined) => void>();
  let closed = false;

  const depth = () => waiting.high.size + waiting.normal.size;

  function enqueue(key: string, priority: Priority): void {
    if (priority === 'high') {
      const sinceMs = waiting.normal.remove(key);
      waiting.high.push(key, sinceMs ?? clock.monotonicMs());
    } else if (!waiting.high.has(key)) {
      waiting.normal.push(key, clock.monotonicMs());
    }
    metrics?.depth(depth());
    const [first] = idle;
    if (first) {
      idle.delete(first);
      first(take());
    }
  }

  function take(): string | undefined {
    const entry = waiting.high.shift() ?? waiting.normal.shift();
    if (!entry) return undefined;
    const startedMs = clock.monotonicMs();
    running.set(entry.key, { startedMs });
    metrics?.depth(depth());
    metrics?.started(startedMs - entry.sinceMs);
    return entry.key;
  }

  async function addLater(key: string, delayMs: number): Promise<void> {
    const cancel = new AbortController();
    const entry = { dueMs: clock.monotonicMs() + delayMs, cancel };
    delayed.set(key, entry);
    try {
      await clock.sleep(delayMs, cancel.signal);
    } catch {
      return;
    }
    if (delayed.get(key) !== entry) return;
    delayed.delete(key);
    queue.add(key);
  }

  const queue: WorkQueue = {
    add(key, priority = 'normal') {
      if (closed) return;
      metrics?.added();
      const run = running.get(key);
      if (run) run.again = run.again === 'high' ? 'high' : priority;
      else enqueue(key, priority);
    },

    addAfter(key, delayMs) {
      if (closed) return;
      if (delayMs <= 0) return queue.add(key);
      const earlier = delayed.get(key);
      if (earlier && earlier.dueMs <= clock.monotonicMs() + delayMs) return;
      earlier?.cancel.abort();
      void addLater(key, delayMs);
    },

    addRateLimited(key) {
      const failed = failures.get(key) ?? 0;
      failures.set(key, failed + 1);
      metrics?.retried();
      queue.addAfter(key, backoffDelayMs(backoff, failed));
    },

    forget: (key) => void failures.delete(key),
    retries: (key) => failures.get(key) ?? 0,

    get depth() {
      return depth();
    },

    next(signal) {
      if (closed || signal.aborted) return Promise.resolve(undefined);
      const key = take();
      if (key !== undefined) return Promise.resolve(key);
      return new Promise((resolve) => {
        const settle = (next: string | undefined) => {
          signal.removeEventListener('abort', onAbort);
          resolve(next);
        };
        const onAbort = () => {
          idle.delete(settle);
          settle(undefined);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        idle.add(settle);
      });
    },

    done(key) {
      const run = running.get(key);
      if (!run) return;
      running.delete(key);
      metrics?.finished(clock.monotonicMs() - run.startedMs);
      if (run.again && !closed) enqueue(key, run.again);
    },

    close() {
      closed = true;
      for (const { cancel } of delayed.values()) cancel.abort();
      for (const settle of idle) settle(undefined);
      for (const collection of [delayed, failures, idle, waiting.high, waiting.normal]) collection.clear();
      metrics?.depth(0);
    },
  };
  return queue;
}

export interface WorkersOptions {
  /** Keys that may run at once. */
  concurrency: number;
  signal: AbortSignal;
  /** Brings the world of one key to its desired state. Throwing means: try again later, with backoff. */
  handle(key: string, signal: AbortSignal): Promise<void>;
  /** Told of every failure, before the key waits for its next try. Must not throw. */
  onError?(key: string, error: unknown): void;
}

/**
 * Resolves when the queue is closed or the signal aborts and every handler that ran has ended; never rejects. A handler that
 * throws has its key queued again with backoff; one that returns has its failures forgotten.
 */
export async function runWorkers(queue: WorkQueue, options: WorkersOptions): Promise<void> {
  const { concurrency, signal, handle, onError } = options;

  async function work(): Promise<void> {
    for (let key = await queue.next(signal); key !== undefined; key = await queue.next(signal)) {
      try {
        await handle(key, signal);
        queue.forget(key);
      } catch (error) {
        if (!signal.aborted) {
          onError?.(key, error);
          queue.addRateLimited(key);
        }
      } finally {
        queue.done(key);
      }
    }
  }

  await Promise.all(Array.from({ length: concurrency }, work));
}
