// Connections to Redis, one kind per use, and the check that Redis will not throw our queues away.
import { Redis, type RedisOptions } from 'ioredis';
import { backoffDelayMs } from '../lib/backoff.ts';
import { MayflyError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';

export interface RedisSettings {
  /** `redis://host:port/db`, `rediss://…` for TLS, or the path of a Unix socket. Holds no password. */
  url: string;
  username?: string;
  password?: string;
}

/**
 * `producer` fails at once while Redis is away, because a caller waits for the answer; `worker` waits as long as it takes, because
 * it blocks for jobs (BullMQ requires `maxRetriesPerRequest: null` for it).
 */
export type RedisUse = 'producer' | 'worker';

/** Every key of ours begins with it. */
export const KEY_PREFIX = 'mayfly';

const RECONNECT = { baseMs: 100, maxMs: 3_000 };
const CONNECT_TIMEOUT_MS = 5_000;
const COMMAND_TIMEOUT_MS = 2_000;

const OPTIONS: Record<RedisUse, RedisOptions> = {
  producer: { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: COMMAND_TIMEOUT_MS },
  worker: { maxRetriesPerRequest: null },
};

/** Connects in the background and reconnects for ever. The caller ends it with `quit` or `disconnect`. */
export function createRedis(use: RedisUse, { url, ...credentials }: RedisSettings, logger: Logger): Redis {
  const redis = new Redis(url, {
    ...OPTIONS[use],
    ...credentials,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (times) => backoffDelayMs(RECONNECT, times - 1),
  });
  redis.on('error', (error) => logger.warn({ err: error }, 'Redis connection failed'));
  return redis;
}

/** Resolves once the connection is usable; rejects with the signal's reason when that comes first. */
export async function redisReady(redis: Redis, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    const onReady = () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = () => {
      redis.off('ready', onReady);
      reject(signal.reason);
    };
    redis.once('ready', onReady);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * A Redis that evicts keys loses jobs silently, so the process refuses to start on one. Asks `INFO memory`, which managed
 * services allow where they refuse `CONFIG`.
 * @throws MayflyError `RedisEvicts`
 */
export async function assertNoEviction(redis: Redis): Promise<void> {
  const info = await redis.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy === 'noeviction') return;
  throw new MayflyError({
    code: 'RedisEvicts',
    message: `Redis has maxmemory-policy ${policy ?? 'unknown'}, which may delete jobs: set it to noeviction`,
  });
}
