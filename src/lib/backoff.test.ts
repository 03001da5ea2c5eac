import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { backoffDelayMs, retry } from './backoff.ts';

const backoff = { baseMs: 100, maxMs: 1_000 };
const never = () => new AbortController().signal;

describe('backoffDelayMs', () => {
  it.each([
    [0, 50, 100],
    [1, 100, 200],
    [3, 400, 800],
    [4, 500, 1_000],
    [10_000, 500, 1_000],
  ])('waits after failure %i between %i and %i ms', (attempt, shortestMs, longestMs) => {
    expect(backoffDelayMs(backoff, attempt, 0)).toBe(shortestMs);
    expect(backoffDelayMs(backoff, attempt, 0.999_999)).toBeCloseTo(longestMs, 0);
  });
});

describe('retry', () => {
  it('returns the first success and tells each attempt its number', async () => {
    const clock = createManualClock();
    const attempts: number[] = [];
    const result = retry(
      async (attempt) => {
        attempts.push(attempt);
        if (attempt < 2) throw new Error('not yet');
        return 'done';
      },
      { backoff, attempts: 5, isRetryable: () => true, signal: never(), clock },
    );
    await clock.advance(1_000);
    expect(await result).toBe('done');
    expect(attempts).toEqual([0, 1, 2]);
  });

  it('throws the last error when the attempts are used up', async () => {
    const clock = createManualClock();
    let calls = 0;
    const result = retry(() => Promise.reject(new Error(`failure ${++calls}`)), {
      backoff,
      attempts: 3,
      isRetryable: () => true,
      signal: never(),
      clock,
    });
    const outcome = expect(result).rejects.toThrow('failure 3');
    await clock.advance(10_000);
    await outcome;
  });

  it('does not repeat what cannot succeed', async () => {
    let calls = 0;
    const result = retry(() => Promise.reject(new Error(`failure ${++calls}`)), {
      backoff,
      attempts: 3,
      isRetryable: () => false,
      signal: never(),
    });
    await expect(result).rejects.toThrow('failure 1');
  });

  it('stops waiting when the signal aborts', async () => {
    const clock = createManualClock();
    const stop = new AbortController();
    const result = retry(() => Promise.reject(new Error('down')), {
      backoff,
      attempts: 3,
      isRetryable: () => true,
      signal: stop.signal,
      clock,
    });
    const outcome = expect(result).rejects.toThrow('shutting down');
    await clock.advance(1);
    stop.abort(new Error('shutting down'));
    await outcome;
    expect(clock.sleepers).toBe(0);
  });
});
