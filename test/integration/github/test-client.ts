// Our client of the test GitHub, and a clock on which waiting takes no time.
import { createGitHub, type GitHubClient } from '../../../src/github/client.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import type { TestGitHub } from '../../support/github/github.ts';

export interface LeapingClock extends Clock {
  /** Every sleep so far, in milliseconds. */
  readonly sleptMs: readonly number[];
  advance(durationMs: number): void;
  /** Called at the beginning of each sleep. */
  onSleep(): void;
}

/** Sleeping moves the time at once; it begins at the real time, which tokens and JWTs are compared with. */
export function leapingClock(): LeapingClock {
  const startMs = Date.now();
  let passedMs = 0;
  const sleptMs: number[] = [];
  const clock: LeapingClock = {
    sleptMs,
    onSleep: () => undefined,
    advance(durationMs) {
      passedMs += durationMs;
    },
    nowMs: () => startMs + passedMs,
    monotonicMs: () => passedMs,
    async sleep(durationMs, signal) {
      clock.onSleep();
      signal?.throwIfAborted();
      sleptMs.push(durationMs);
      passedMs += durationMs;
    },
  };
  return clock;
}

export function createTestClient(github: TestGitHub, clock: Clock): GitHubClient {
  const { appId, privateKey, url, installation } = github;
  const logger = createLogger({ name: 'test', level: 'silent' });
  return createGitHub({ appId, privateKey, baseUrl: url, clock, logger }).installation(installation.id);
}
