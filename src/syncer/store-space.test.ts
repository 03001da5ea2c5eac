import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../test/support/memory-api-server.ts';
import { createLogger } from '../lib/logger.ts';
import {
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from './admission/configuration.ts';
import { createStoreSpace, reserveBytes, type Space } from './store-space.ts';

const MEBIBYTE = 2 ** 20;
const SIZE_BYTES = 1024 * MEBIBYTE;

function watched() {
  const inside = createMemoryApiServer();
  const clock = createManualClock();
  const stop = new AbortController();
  const space: Space = { sizeBytes: SIZE_BYTES, availableBytes: SIZE_BYTES };
  let isReachable = true;
  const store = createStoreSpace({
    client: {
      ...inside.client,
      apply: async (type, object) => {
        if (!isReachable) throw new Error('the API server is away');
        return inside.put(type, object);
      },
    },
    readSpace: async () => space,
    clock,
    logger: createLogger({ name: 'test', level: 'fatal' }),
  });
  const running = store.run(stop.signal);
  return {
    store,
    policies: () => inside.list(VALIDATING_ADMISSION_POLICIES),
    bindings: () => inside.list(VALIDATING_ADMISSION_POLICY_BINDINGS),
    reach(reachable: boolean) {
      isReachable = reachable;
    },
    async left(availableBytes: number) {
      space.availableBytes = availableBytes;
      await clock.advance(2_000);
      await expect.poll(() => clock.sleepers).toBe(1);
    },
    async end() {
      stop.abort();
      await running;
    },
  };
}

describe('a store', () => {
  it('keeps a tenth of its volume free, but neither very little nor very much', () => {
    expect(reserveBytes(SIZE_BYTES)).toBe(SIZE_BYTES / 10);
    expect(reserveBytes(128 * MEBIBYTE)).toBe(32 * MEBIBYTE);
    expect(reserveBytes(40 * MEBIBYTE)).toBe(20 * MEBIBYTE);
    expect(reserveBytes(10_000 * 1024 * MEBIBYTE)).toBe(512 * MEBIBYTE);
  });

  it('lets nothing new in while its volume is nearly full, and everything afterwards', async () => {
    const { store, policies, bindings, left, end } = watched();
    await left(SIZE_BYTES);
    expect([store.hasRoom, policies().length, bindings().length]).toEqual([true, 1, 0]);
    await left(50 * MEBIBYTE);
    expect([store.hasRoom, policies().length, bindings().length]).toEqual([false, 1, 1]);
    await left(500 * MEBIBYTE);
    expect([store.hasRoom, policies().length, bindings().length]).toEqual([true, 1, 0]);
    await end();
  });

  it('says so again when it could not be heard', async () => {
    const { store, bindings, left, reach, end } = watched();
    await left(SIZE_BYTES);
    reach(false);
    await left(0);
    expect([store.hasRoom, bindings().length]).toEqual([false, 0]);
    reach(true);
    await left(0);
    expect(bindings()).toHaveLength(1);
    await end();
  });
});
