// How much of something may happen: so many at once, then so many a second.
import type { Clock } from '../../lib/clock.ts';

export interface RateLimit {
  /** Whether it may happen now; what is refused is not made up for. */
  take(): boolean;
}

export function createRateLimit({
  perSecond,
  burst,
  clock,
}: {
  perSecond: number;
  burst: number;
  clock: Clock;
}): RateLimit {
  let left = burst;
  let atMs = clock.monotonicMs();
  return {
    take() {
      const nowMs = clock.monotonicMs();
      left = Math.min(burst, left + ((nowMs - atMs) / 1000) * perSecond);
      atMs = nowMs;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
