// The queue against a real Redis: at most one job of a kind at a time, nothing kept, nothing lost when a process ends.
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { systemClock } from '../../../src/lib/clock.ts';
import { InvalidInputError } from '../../../src/lib/errors.ts';
import { defineJob, type JobDefinition } from '../../../src/queue/define-job.ts';
import { createJobWorker, type JobContext, type JobWorker } from '../../../src/queue/job-worker.ts';
import { createJobProducer, type JobProducer } from '../../../src/queue/producer.ts';
import { createRedis, KEY_PREFIX, redisReady } from '../../../src/queue/redis.ts';
import { eventually } from '../../support/eventually.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

const logger = pino({ level: 'silent' });

interface Work {
  id: string;
  revision: number;
}

const work: JobDefinition<Work> = defineJob({
  name: 'work',
  payload: z.object({ id: z.string(), revision: z.int() }),
  attempts: 3,
  backoff: { baseMs: 10, maxMs: 20 },
  timeoutMs: 5_000,
  dedupeId: ({ id }) => id,
});

let server: TestRedis;
let producerRedis: Redis;
let producer: JobProducer;
const cleanups: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

beforeEach(async () => {
  producerRedis = createRedis('producer', { url: server.url }, logger);
  await redisReady(producerRedis, AbortSignal.timeout(5_000));
  await producerRedis.flushall();
  producer = createJobProducer({ redis: producerRedis });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await producer.close();
  producerRedis.disconnect();
});

function startWorker(
  handle: (payload: Work, context: JobContext) => Promise<void>,
  { definition = work, concurrency = 1 } = {},
): JobWorker {
  const redis = createRedis('worker', { url: server.url }, logger);
  const worker = createJobWorker({ definition, redis, concurrency, handle, logger, metrics: new Registry() });
  const ended = worker.run();
  cleanups.push(async () => {
    await worker.close({ drainMs: 0 });
    await ended;
    redis.disconnect();
  });
  return worker;
}

async function leftInRedis(): Promise<Record<string, number>> {
  const queue = new Queue(work.name, { connection: producerRedis, prefix: KEY_PREFIX });
  const counts = await queue.getJobCounts();
  await queue.close();
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function becomes(what: string, condition: () => boolean | Promise<boolean>): Promise<true> {
  return eventually(async () => ((await condition()) ? true : undefined), {
    what,
    timeoutMs: 10_000,
    intervalMs: 10,
  });
}

describe('a job', () => {
  test('is put in a hundred times at once and runs once', async () => {
    await Promise.all(
      Array.from({ length: 100 }, (_, revision) => producer.enqueue(work, { id: 'a', revision })),
    );
    let runs = 0;
    startWorker(async () => {
      runs++;
    });
    await becomes(
      'the queue is empty',
      async () => runs > 0 && Object.keys(await leftInRedis()).length === 0,
    );
    expect(runs).toBe(1);
  });

  test('that is put in while it runs runs once more, with the newest payload', async () => {
    const gate = Promise.withResolvers<void>();
    const seen: number[] = [];
    startWorker(
      async ({ revision }) => {
        seen.push(revision);
        if (revision === 1) await gate.promise;
      },
      { concurrency: 4 },
    );
    await producer.enqueue(work, { id: 'a', revision: 1 });
    await becomes('the first runs', () => seen.length === 1);
    for (const revision of [2, 3, 4]) await producer.enqueue(work, { id: 'a', revision });
    expect(seen).toEqual([1]);
    gate.resolve();
    await becomes(
      'the second ran',
      async () => seen.length === 2 && Object.keys(await leftInRedis()).length === 0,
    );
    expect(seen).toEqual([1, 4]);
  });

  test('that used up its attempts is forgotten and may be put in again', async () => {
    let tries = 0;
    startWorker(async () => {
      tries++;
      throw new Error('no');
    });
    await producer.enqueue(work, { id: 'a', revision: 1 });
    await becomes(
      'it was given up',
      async () => tries === 3 && Object.keys(await leftInRedis()).length === 0,
    );
    await producer.enqueue(work, { id: 'a', revision: 2 });
    await becomes('it is tried again', () => tries > 3);
  });

  test('that can never succeed is tried once', async () => {
    let tries = 0;
    startWorker(async () => {
      tries++;
      throw new InvalidInputError({ code: 'Never', message: 'never' });
    });
    await producer.enqueue(work, { id: 'a', revision: 1 });
    await becomes('it was given up', async () => tries > 0 && Object.keys(await leftInRedis()).length === 0);
    expect(tries).toBe(1);
  });

  test('that waits out a backoff is started at once by an expedited hint, and by no other', async () => {
    const slow = { ...work, name: 'slow', backoff: { baseMs: 60_000, maxMs: 60_000 } };
    let tries = 0;
    startWorker(
      async () => {
        tries++;
        if (tries === 1) throw new Error('no');
      },
      { definition: slow },
    );
    const queue = new Queue(slow.name, { connection: producerRedis, prefix: KEY_PREFIX });
    await producer.enqueue(slow, { id: 'a', revision: 1 });
    await becomes('it waits', async () => (await queue.getDelayedCount()) === 1);
    await producer.enqueue(slow, { id: 'a', revision: 2 });
    expect(await queue.getDelayedCount()).toBe(1);
    await producer.enqueue(slow, { id: 'a', revision: 3 }, { expedite: true });
    await becomes('it ran again', () => tries === 2);
    await queue.close();
  });

  test('is aborted at its time limit and tried again', async () => {
    const short = { ...work, timeoutMs: 50 };
    const reasons: unknown[] = [];
    startWorker(
      async (_, { signal }) => {
        try {
          await systemClock.sleep(60_000, signal);
        } catch (error) {
          reasons.push(error);
          throw error;
        }
      },
      { definition: short },
    );
    await producer.enqueue(short, { id: 'a', revision: 1 });
    await becomes('every try was aborted', () => reasons.length === 3);
    expect(reasons[0]).toMatchObject({ code: 'JobTimeout' });
  });

  test('whose payload has another shape is refused before it is in Redis', async () => {
    const wrong = { id: 'a' } as Work;
    await expect(producer.enqueue(work, wrong)).rejects.toMatchObject({ code: 'InvalidJobPayload' });
    expect(await leftInRedis()).toEqual({});
  });
});

describe('the end of a worker', () => {
  test('waits for a job that runs', async () => {
    const gate = Promise.withResolvers<void>();
    let done = false;
    let started = false;
    const worker = startWorker(async () => {
      started = true;
      await gate.promise;
      done = true;
    });
    await producer.enqueue(work, { id: 'a', revision: 1 });
    await becomes('it runs', () => started);
    const closed = worker.close({ drainMs: 5_000 });
    gate.resolve();
    await closed;
    expect(done).toBe(true);
    expect(await leftInRedis()).toEqual({});
  });

  test('gives a job back that does not end in time, and another worker runs it as the same try', async () => {
    let started = false;
    const first = startWorker(async (_, { signal }) => {
      started = true;
      await systemClock.sleep(60_000, signal);
    });
    await producer.enqueue(work, { id: 'a', revision: 1 });
    await becomes('it runs', () => started);
    await first.close({ drainMs: 50 });
    expect(await leftInRedis()).toEqual({ waiting: 1 });

    const attempts: number[] = [];
    startWorker(async (_, { attempt }) => {
      attempts.push(attempt);
    });
    await becomes(
      'it ran elsewhere',
      async () => attempts.length > 0 && Object.keys(await leftInRedis()).length === 0,
    );
    expect(attempts).toEqual([1]);
  });
});

describe('an outage of Redis', () => {
  test('makes putting a job in fail within seconds, and passes', async () => {
    await server.kill();
    const startedMs = performance.now();
    await expect(producer.enqueue(work, { id: 'a', revision: 1 })).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    await server.start();
    await redisReady(producerRedis, AbortSignal.timeout(10_000));
    await producer.enqueue(work, { id: 'a', revision: 1 });
  });

  test('does not end a worker: it takes jobs again afterwards', async () => {
    let runs = 0;
    startWorker(async () => {
      runs++;
    });
    await producer.enqueue(work, { id: 'a', revision: 1 });
    await becomes('it ran', () => runs === 1);
    await server.kill();
    await server.start();
    await redisReady(producerRedis, AbortSignal.timeout(10_000));
    await producer.enqueue(work, { id: 'b', revision: 1 });
    await becomes('it ran again', () => runs === 2);
  });
});
