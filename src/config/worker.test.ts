import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadWorkerConfig } from './worker.ts';

let folder: string;
let required: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-config-'));
  await writeFile(join(folder, 'secret'), ' s3cret\n');
  await writeFile(join(folder, 'empty'), '\n');
  required = {
    MAYFLY_NAMESPACE: 'mayfly',
    MAYFLY_RELEASE: 'mayfly',
    MAYFLY_POD_NAME: 'mayfly-worker-0',
    MAYFLY_SERVICE_ACCOUNT: 'mayfly-worker',
    MAYFLY_SERVER_SERVICE_ACCOUNT: 'mayfly-server',
    MAYFLY_REDIS_URL: 'redis://redis:6379',
    MAYFLY_PREVIEW_URL: 'https://preview.example.com/',
  };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the worker's configuration", () => {
  test('has defaults for all but where things are', async () => {
    expect(await loadWorkerConfig(required)).toMatchObject({
      previewUrl: 'https://preview.example.com',
      github: undefined,
      forks: 'refuse',
      podSecurity: 'baseline',
      kubernetesVersions: ['1.34'],
      drainMs: 60_000,
      ttl: { defaultTtlMs: 24 * 3_600_000 },
    });
  });

  test('reads secrets from the files that it names', async () => {
    const config = await loadWorkerConfig({
      ...required,
      MAYFLY_REDIS_PASSWORD_FILE: join(folder, 'secret'),
      MAYFLY_GITHUB_APP_ID: '12',
      MAYFLY_GITHUB_PRIVATE_KEY_FILE: join(folder, 'secret'),
    });
    expect(config.redis.password).toBe('s3cret');
    expect(config.github).toEqual({ appId: 12, privateKey: 's3cret', baseUrl: 'https://api.github.com' });
  });

  test('takes an empty variable for an absent one', async () => {
    const config = await loadWorkerConfig({ ...required, MAYFLY_LOG_LEVEL: '', MAYFLY_GITHUB_APP_ID: '' });
    expect(config.logLevel).toBe('info');
  });

  test.each<[string, () => Record<string, string>, RegExp]>([
    ['a variable is missing', () => ({ MAYFLY_PREVIEW_URL: '' }), /MAYFLY_PREVIEW_URL/],
    ['a number is none', () => ({ MAYFLY_CONCURRENCY: 'many' }), /MAYFLY_CONCURRENCY/],
    ['the app has no key', () => ({ MAYFLY_GITHUB_APP_ID: '12' }), /belong together/],
    [
      'a file is not there',
      () => ({ MAYFLY_REDIS_PASSWORD_FILE: join(folder, 'nowhere') }),
      /MAYFLY_REDIS_PASSWORD_FILE.*ENOENT/,
    ],
    [
      'a file is empty',
      () => ({ MAYFLY_REDIS_PASSWORD_FILE: join(folder, 'empty') }),
      /MAYFLY_REDIS_PASSWORD_FILE.*is empty/,
    ],
  ])('is refused by name when %s', async (_what, change, message) => {
    await expect(loadWorkerConfig({ ...required, ...change() })).rejects.toThrow(message);
  });
});
