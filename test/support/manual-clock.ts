// A clock that only moves when told to, for tests of what happens over time.
import type { Clock } from '../../src/lib/clock.ts';

export interface ManualClock extends Clock {
  /** Moves both times on, wakes every sleeper that is due in order, and lets what they do settle. */
  advance(durationMs: number): Promise<void>;
  /** Moves the wall clock only, as an administrator or NTP might. */
  jump(durationMs: number): void;
  /** How many are asleep. */
  readonly sleepers: number;
}

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let wallOffsetMs = startMs;
  let elapsedMs = 0;
  const sleepers = new Set<{ dueMs: number; wake: () => void }>();
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  return {
    nowMs: () => wallOffsetMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    sleep: (durationMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        const sleeper = {
          dueMs: elapsedMs + durationMs,
          wake: () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        sleepers.add(sleeper);
      }),
    async advance(durationMs) {
      const endMs = elapsedMs + durationMs;
      await settle();
      for (;;) {
        const [next] = [...sleepers].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
        if (!next) break;
        sleepers.delete(next);
        elapsedMs = Math.max(elapsedMs, next.dueMs);
        next.wake();
        await settle();
      }
      elapsedMs = endMs;
    },
    jump(durationMs) {
      wallOffsetMs += durationMs;
    },
    get sleepers() {
      return sleepers.size;
    },
  };
}
