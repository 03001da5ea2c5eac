import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { KubeClient } from '../src/kube/client.ts';
import { createManualClock } from '../test/support/manual-clock.ts';
import { createServerClock } from './server-clock.ts';

const HOUR_MS = 3_600_000;
const signal = new AbortController().signal;

/** An API server whose clock runs with ours until it is set. */
function setUp({ aheadMs = 0 } = {}) {
  const clock = createManualClock();
  const startMs = clock.nowMs();
  let offsetMs = aheadMs;
  const create = async () => {
    const creationTimestamp = new Date(startMs + clock.monotonicMs() + offsetMs).toISOString();
    return { metadata: { creationTimestamp } };
  };
  const serverClock = createServerClock({
    client: { create: create as unknown as KubeClient['create'] },
    clock,
    logger: pino({ level: 'silent' }),
  });
  return {
    clock,
    serverClock,
    setServerAhead: (ms: number) => {
      offsetMs = ms;
    },
  };
}

describe("the API server's time", () => {
  test('is trusted once it was read and agrees with the clock of this machine', async () => {
    const { serverClock, clock } = setUp({ aheadMs: 2_000 });
    expect(serverClock.isTrusted()).toBe(false);
    await serverClock.refresh(signal);
    expect(serverClock.isTrusted()).toBe(true);
    await clock.advance(5_000);
    expect(serverClock.nowMs() - clock.nowMs()).toBe(2_000);
  });

  test('F19: does not move when the clock of this machine jumps', async () => {
    const { serverClock, clock } = setUp();
    await serverClock.refresh(signal);
    const before = serverClock.nowMs();
    clock.jump(HOUR_MS);
    expect(serverClock.nowMs()).toBe(before);
    await serverClock.refresh(signal);
    expect(serverClock.isTrusted()).toBe(true);
  });

  test.each([HOUR_MS, -HOUR_MS])('F19: is not trusted for a while when it jumps by %d ms', async (jumpMs) => {
    const { serverClock, clock, setServerAhead } = setUp();
    await serverClock.refresh(signal);
    setServerAhead(jumpMs);
    await serverClock.refresh(signal);
    expect(serverClock.isTrusted()).toBe(false);
    await clock.advance(9 * 60_000);
    await serverClock.refresh(signal);
    expect(serverClock.isTrusted()).toBe(false);
    await clock.advance(60_000);
    await serverClock.refresh(signal);
    expect(serverClock.isTrusted()).toBe(true);
  });

  test('is not trusted when at first the two clocks disagree', async () => {
    const { serverClock } = setUp({ aheadMs: HOUR_MS });
    await serverClock.refresh(signal);
    expect(serverClock.isTrusted()).toBe(false);
  });
});
