// A real Redis for one test file: its own process on a Unix socket in its own folder, ended by the one who started it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';

export interface TestRedis {
  /** What `RedisSettings.url` takes: the path of the socket. */
  readonly url: string;
  /** Ends it at once, as a crash would; what was written since the last start is gone. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same socket. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

export async function startRedis({ evictionPolicy = 'noeviction' } = {}): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'mayfly-redis-'));
  const url = join(folder, 'redis.sock');
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawn(
      'redis-check-rdb',
      [
        '--port',
        '0',
        '--unixsocket',
        url,
        '--dir',
        folder,
        '--save',
        '',
        '--maxmemory-policy',
        evictionPolicy,
      ],
      // Redis is one program that acts by the name it is called.
      { argv0: 'redis-server', stdio: 'ignore' },
    );
    const failed = once(child, 'error').then(([error]) => {
      throw error;
    });
    await Promise.race([
      failed,
      eventually(() => ping(url), { what: 'Redis answers', timeoutMs: 10_000, intervalMs: 20 }),
    ]);
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    await rm(url, { force: true });
  }

  await start();
  return {
    url,
    start,
    kill,
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ping(path: string): Promise<true> {
  const redis = new Redis(path, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => {});
  try {
    await redis.connect();
    await redis.ping();
    return true;
  } finally {
    redis.disconnect();
  }
}
