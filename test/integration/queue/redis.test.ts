// What must hold of Redis itself: it may not evict, and it remembers deliveries.
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDeliveryLog } from '../../../src/queue/delivery-log.ts';
import { assertNoEviction, createRedis, redisReady } from '../../../src/queue/redis.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

const logger = pino({ level: 'silent' });

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = createRedis('producer', { url: server.url }, logger);
  await redisReady(redis, AbortSignal.timeout(5_000));
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

describe('the eviction policy', () => {
  test('noeviction is accepted', async () => {
    await expect(assertNoEviction(redis)).resolves.toBeUndefined();
  });

  test('any other is refused, with what to do', async () => {
    const evicting = await startRedis({ evictionPolicy: 'allkeys-lru' });
    const connection = createRedis('producer', { url: evicting.url }, logger);
    try {
      await redisReady(connection, AbortSignal.timeout(5_000));
      await expect(assertNoEviction(connection)).rejects.toMatchObject({
        code: 'RedisEvicts',
        message: expect.stringMatching(/allkeys-lru.*noeviction/),
      });
    } finally {
      connection.disconnect();
      await evicting.stop();
    }
  });
});

describe('the delivery log', () => {
  test('gives a delivery to one of a hundred who claim it at once, and to nobody afterwards', async () => {
    const deliveries = createDeliveryLog({ redis });
    const claims = await Promise.all(Array.from({ length: 100 }, () => deliveries.claim('d-1')));
    expect(claims.filter(Boolean)).toHaveLength(1);
    await deliveries.confirm('d-1');
    expect(await deliveries.claim('d-1')).toBe(false);
  });

  test('remembers a handled delivery for as long as it can be sent again', async () => {
    const deliveries = createDeliveryLog({ redis });
    await deliveries.claim('d-2');
    await deliveries.confirm('d-2');
    const lifeMs = await redis.pttl('mayfly:delivery:d-2');
    expect(lifeMs / (24 * 60 * 60_000)).toBeCloseTo(3, 2);
  });

  test('lets a delivery be taken again that could not be handled', async () => {
    const deliveries = createDeliveryLog({ redis });
    await deliveries.claim('d-3');
    await deliveries.release('d-3');
    expect(await deliveries.claim('d-3')).toBe(true);
  });

  test('lets a claim run out when its holder died', async () => {
    const deliveries = createDeliveryLog({ redis });
    await deliveries.claim('d-4');
    expect(await redis.pttl('mayfly:delivery:d-4')).toBeLessThanOrEqual(60_000);
  });
});
