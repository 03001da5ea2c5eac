// How long to wait before trying again, and trying again itself: one policy for every retry we make.
import { type Clock, systemClock } from './clock.ts';

export interface Backoff {
  /** Delay before the first retry, in milliseconds. */
  baseMs: number;
  /** No delay is longer than this, in milliseconds. */
  maxMs: number;
}

/**
 * Exponential backoff with equal jitter: between half of and the whole `baseMs * 2^attempt`, capped at `maxMs`.
 * @param attempt how many tries failed before, minus one: 0 before the first retry.
 * @param random a number in [0, 1).
 */
export function backoffDelayMs(
  { baseMs, maxMs }: Backoff,
  attempt: number,
  random: number = Math.random(),
): number {
  const ceilingMs = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 52));
  return ceilingMs / 2 + (ceilingMs / 2) * random;
}

export interface RetryOptions {
  backoff: Backoff;
  /** Tries in all, the first one included. */
  attempts: number;
  isRetryable(error: unknown): boolean;
  signal: AbortSignal;
  clock?: Clock;
}

/** Runs `operation` until it succeeds, fails for good, runs out of attempts or the signal aborts; throws its last error. */
export async function retry<T>(
  operation: (attempt: number) => Promise<T>,
  { backoff, attempts, isRetryable, signal, clock = systemClock }: RetryOptions,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await operation(attempt);
    } catch (error) {
      if (signal.aborted || attempt + 1 >= attempts || !isRetryable(error)) throw error;
    }
    await clock.sleep(backoffDelayMs(backoff, attempt), signal);
  }
}
