// The lock of a test host, between holders of one process; between processes the kernel does the same.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { withLock } from './lock.ts';

describe('withLock', () => {
  it('runs one action at a time', async () => {
    const name = randomUUID();
    let running = 0;
    let most = 0;
    const action = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    await Promise.all([1, 2, 3].map(() => withLock(name, 10_000, action)));
    expect(most).toBe(1);
  });

  it('is free again after an action that failed', async () => {
    const name = randomUUID();
    const failing = withLock(name, 1_000, () => Promise.reject(new Error('failed')));
    await expect(failing).rejects.toThrow('failed');
    expect(await withLock(name, 0, async () => 'ran')).toBe('ran');
  });

  it('gives up when another holds it for too long', async () => {
    const name = randomUUID();
    const release = Promise.withResolvers<void>();
    const holder = withLock(name, 0, () => release.promise);
    await expect(withLock(name, 0, async () => undefined)).rejects.toThrow('another run');
    release.resolve();
    await holder;
  });
});
