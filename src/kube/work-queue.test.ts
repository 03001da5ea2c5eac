import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createWorkQueue, runWorkers } from './work-queue.ts';

const never = () => new AbortController().signal;

describe('work queue', () => {
  it('hands out keys in the order of their addition, each once', async () => {
    const queue = createWorkQueue();
    for (const key of ['b', 'a', 'b', 'c', 'a']) queue.add(key);
    expect(queue.depth).toBe(3);
    expect([await queue.next(never()), await queue.next(never()), await queue.next(never())]).toEqual([
      'b',
      'a',
      'c',
    ]);
  });

  it('hands out high priority first, and moves a waiting key forward but never back', async () => {
    const queue = createWorkQueue();
    for (const key of ['a', 'b', 'c']) queue.add(key);
    queue.add('c', 'high');
    queue.add('d', 'high');
    queue.add('d', 'normal');
    const order = [];
    for (let count = queue.depth; count > 0; count--) order.push(await queue.next(never()));
    expect(order).toEqual(['c', 'd', 'a', 'b']);
  });

  it('does not hand out a key that runs, and queues it once more when it is done', async () => {
    const queue = createWorkQueue();
    queue.add('a');
    await queue.next(never());
    queue.add('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(queue.depth).toBe(1);
    await queue.next(never());
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  it('keeps the higher priority of the additions during a run', async () => {
    const queue = createWorkQueue();
    queue.add('a');
    await queue.next(never());
    queue.add('b');
    queue.add('a', 'high');
    queue.add('a');
    queue.done('a');
    expect(await queue.next(never())).toBe('a');
  });

  it('gives a key that is added to whoever waits first', async () => {
    const queue = createWorkQueue();
    const [first, second] = [queue.next(never()), queue.next(never())];
    queue.add('a');
    queue.add('b');
    expect([await first, await second]).toEqual(['a', 'b']);
    expect(queue.depth).toBe(0);
  });

  it('loses no key to a waiter that gave up', async () => {
    const queue = createWorkQueue();
    const impatient = new AbortController();
    const gaveUp = queue.next(impatient.signal);
    const waits = queue.next(never());
    impatient.abort();
    queue.add('a');
    expect(await gaveUp).toBeUndefined();
    expect(await waits).toBe('a');
  });

  it('adds a delayed key when its first delay is over, and once for several delays', async () => {
    const clock = createManualClock();
    const queue = createWorkQueue({ clock });
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 100);
    queue.addAfter('a', 5_000);
    expect(clock.sleepers).toBe(1);
    await clock.advance(99);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(await queue.next(never())).toBe('a');
    queue.done('a');
    await clock.advance(10_000);
    expect(queue.depth).toBe(0);
  });

  it('backs off a key by its own failures, up to the limit, until it succeeds', async () => {
    const clock = createManualClock();
    const queue = createWorkQueue({ clock, backoff: { baseMs: 100, maxMs: 400 } });
    const waitedMs: number[] = [];
    for (let failure = 0; failure < 5; failure++) {
      queue.addRateLimited('a');
      const startedMs = clock.monotonicMs();
      while (queue.depth === 0) await clock.advance(1);
      waitedMs.push(clock.monotonicMs() - startedMs);
      queue.done((await queue.next(never())) ?? '');
    }
    expect(queue.retries('a')).toBe(5);
    for (const [index, longestMs] of [100, 200, 400, 400, 400].entries()) {
      expect(waitedMs[index]).toBeGreaterThanOrEqual(longestMs / 2);
      expect(waitedMs[index]).toBeLessThanOrEqual(longestMs);
    }
    expect(queue.retries('b')).toBe(0);
    queue.forget('a');
    expect(queue.retries('a')).toBe(0);
  });

  it('ends all waiting when it is closed, timers included, and takes nothing more', async () => {
    const clock = createManualClock();
    const queue = createWorkQueue({ clock });
    queue.addAfter('late', 1_000);
    const waits = queue.next(never());
    queue.close();
    queue.add('a');
    queue.addAfter('b', 0);
    queue.addRateLimited('c');
    expect(await waits).toBeUndefined();
    expect(await queue.next(never())).toBeUndefined();
    expect(queue.depth).toBe(0);
    await clock.advance(0);
    expect(clock.sleepers).toBe(0);
  });

  it('tells its metrics the depth, the waits and the runs', async () => {
    const clock = createManualClock();
    const seen: [string, number][] = [];
    const queue = createWorkQueue({
      clock,
      metrics: {
        depth: (keys) => seen.push(['depth', keys]),
        added: () => seen.push(['added', 1]),
        retried: () => seen.push(['retried', 1]),
        started: (waitedMs) => seen.push(['started', waitedMs]),
        finished: (ranMs) => seen.push(['finished', ranMs]),
      },
    });
    queue.add('a');
    await clock.advance(30);
    await queue.next(never());
    await clock.advance(12);
    queue.done('a');
    expect(seen).toEqual([
      ['added', 1],
      ['depth', 1],
      ['depth', 0],
      ['started', 30],
      ['finished', 12],
    ]);
  });
});

describe('workers', () => {
  it('never run a key twice at once and lose no addition, whatever is added when', async () => {
    const queue = createWorkQueue({ backoff: { baseMs: 1, maxMs: 2 } });
    const keys = Array.from({ length: 8 }, (_, index) => `k${index}`);
    /** Versions as they are wanted, and as a handler that started afterwards saw them. */
    const wanted = new Map(keys.map((key) => [key, 0]));
    const reached = new Map(keys.map((key) => [key, 0]));
    const running = new Set<string>();
    const overlaps: string[] = [];
    let mostAtOnce = 0;
    const workers = runWorkers(queue, {
      concurrency: 4,
      signal: never(),
      async handle(key) {
        if (running.has(key)) overlaps.push(key);
        running.add(key);
        mostAtOnce = Math.max(mostAtOnce, running.size);
        const version = wanted.get(key) ?? 0;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2));
        running.delete(key);
        if (Math.random() < 0.2) throw new Error('try again');
        reached.set(key, version);
      },
    });
    for (let round = 0; round < 600; round++) {
      const key = keys[Math.floor(Math.random() * keys.length)] ?? '';
      wanted.set(key, (wanted.get(key) ?? 0) + 1);
      if (Math.random() < 0.5) queue.add(key, Math.random() < 0.5 ? 'high' : 'normal');
      else queue.addAfter(key, Math.random() * 3);
      if (round % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => reached, { timeout: 5_000 }).toEqual(wanted);
    queue.close();
    await workers;
    expect(overlaps).toEqual([]);
    expect(mostAtOnce).toBe(4);
  });

  it('tell of an error and try the key again, and forget its failures once it succeeds', async () => {
    const queue = createWorkQueue({ backoff: { baseMs: 1, maxMs: 2 } });
    const errors: unknown[] = [];
    let runs = 0;
    const workers = runWorkers(queue, {
      concurrency: 1,
      signal: never(),
      onError: (key, error) => errors.push([key, error]),
      async handle() {
        if (++runs < 3) throw new Error(`failure ${runs}`);
      },
    });
    queue.add('a');
    await expect.poll(() => [runs, queue.retries('a')]).toEqual([3, 0]);
    expect(errors).toEqual([
      ['a', new Error('failure 1')],
      ['a', new Error('failure 2')],
    ]);
    queue.close();
    await workers;
  });

  it('end only when the handlers that run have ended, and start none after the signal', async () => {
    const queue = createWorkQueue();
    const stop = new AbortController();
    const handled: string[] = [];
    const gate = Promise.withResolvers<void>();
    const workers = runWorkers(queue, {
      concurrency: 1,
      signal: stop.signal,
      async handle(key, signal) {
        await gate.promise;
        handled.push(`${key} ${signal.aborted}`);
      },
    });
    queue.add('a');
    queue.add('b');
    await expect.poll(() => queue.depth).toBe(1);
    stop.abort();
    const ended = await Promise.race([workers.then(() => 'ended'), Promise.resolve('still running')]);
    gate.resolve();
    await workers;
    expect(ended).toBe('still running');
    expect(handled).toEqual(['a true']);
  });
});
