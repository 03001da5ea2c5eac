// Creations that the local copy does not show yet. Until it does, a key must not be decided on: its host object seems absent.
import type { Clock } from '../../lib/clock.ts';
import type { KindKey } from '../names.ts';

/** A watch that shows nothing for so long has lost the event: the next list tells. */
const EXPECTED_WITHIN_MS = 10_000;

export interface Expectations {
  /** To be called before the request: its event may come before its answer. */
  creating(key: KindKey): void;
  /** An event of the host object has arrived, or the creation failed. */
  settled(key: KindKey): void;
  /** How long to wait for the event at most, in milliseconds; 0 when none is expected. */
  pendingMs(key: KindKey): number;
}

export function createExpectations(clock: Clock): Expectations {
  const expected = new Map<KindKey, number>();
  return {
    creating: (key) => void expected.set(key, clock.monotonicMs() + EXPECTED_WITHIN_MS),
    settled: (key) => void expected.delete(key),
    pendingMs(key) {
      const untilMs = expected.get(key);
      if (untilMs === undefined) return 0;
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) expected.delete(key);
      return Math.max(0, leftMs);
    },
  };
}
