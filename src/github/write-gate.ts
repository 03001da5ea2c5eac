// Spacing of requests to GitHub, per installation: writes one after another and at least a second apart, and nothing
// at all while GitHub asks for a pause (docs.github.com, "Best practices for using the REST API").
import type { Clock } from '../lib/clock.ts';
import { UnavailableError } from '../lib/errors.ts';

const WRITE_INTERVAL_MS = 1_000;
const MAX_WAITING_WRITES = 500;

export interface WriteGate {
  /** Runs `write` alone, at least a second after the write before it ended. */
  write<T>(write: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** What is left of GitHub's pause, in milliseconds. */
  pauseLeftMs(): number;
  /** GitHub wants no requests for so long. A shorter pause never cuts a longer one. */
  pauseFor(durationMs: number): void;
}

export function createWriteGate(clock: Clock): WriteGate {
  let last: Promise<unknown> = Promise.resolve();
  let nextWriteMs = Number.NEGATIVE_INFINITY;
  let pausedUntilMs = Number.NEGATIVE_INFINITY;
  let waiting = 0;

  const turn = async <T>(write: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    signal.throwIfAborted();
    const waitMs = nextWriteMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    try {
      return await write();
    } finally {
      nextWriteMs = clock.monotonicMs() + WRITE_INTERVAL_MS;
    }
  };

  return {
    async write(write, signal) {
      if (waiting >= MAX_WAITING_WRITES) {
        throw new UnavailableError({
          code: 'GitHubWritesPending',
          message: `${waiting} writes to GitHub are waiting for their turn already`,
        });
      }
      waiting++;
      const mine = last.then(() => turn(write, signal));
      last = mine.catch(() => undefined);
      try {
        return await mine;
      } finally {
        waiting--;
      }
    },
    pauseLeftMs: () => Math.max(0, pausedUntilMs - clock.monotonicMs()),
    pauseFor(durationMs) {
      pausedUntilMs = Math.max(pausedUntilMs, clock.monotonicMs() + durationMs);
    },
  };
}
