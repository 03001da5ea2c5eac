// The one source of time, passed in wherever time matters, so that tests move it by hand.
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Wall-clock time, in milliseconds since the epoch. May jump. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start. Never jumps: use it to measure durations. */
  monotonicMs(): number;
  /** Resolves after `durationMs`; rejects with the signal's reason when aborted. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (durationMs, signal) => {
    try {
      await delay(durationMs, undefined, { signal });
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
