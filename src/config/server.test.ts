import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadServerConfig } from './server.ts';

const REQUIRED = {
  MAYFLY_NAMESPACE: 'mayfly',
  MAYFLY_PUBLIC_URL: 'https://mayfly.example.com/',
  MAYFLY_PREVIEW_URL: 'https://preview.example.com',
  MAYFLY_REDIS_URL: 'redis://redis:6379',
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-config-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('needs only what nobody can guess', async () => {
  const config = await loadServerConfig(REQUIRED);
  expect(config).toMatchObject({
    port: 8080,
    publicUrl: 'https://mayfly.example.com',
    apiTokens: [],
    webhookSecrets: [],
    kubernetesVersions: ['1.34'],
    ttl: { defaultTtlMs: 86_400_000 },
  });
});

test('names every variable that is wrong, and shows no value', async () => {
  const wrong = { ...REQUIRED, MAYFLY_PORT: 'secret', MAYFLY_REDIS_URL: 'http://secret' };
  const error = await loadServerConfig(wrong).catch((reason: Error) => reason);
  expect(error).toMatchObject({ code: 'InvalidConfiguration' });
  expect(String(error)).toMatch(/MAYFLY_PORT/);
  expect(String(error)).toMatch(/MAYFLY_REDIS_URL/);
  expect(String(error)).not.toContain('secret');
});

test('reads tokens from the files of a mounted Secret, without those of the kubelet', async () => {
  const tokens = join(folder, 'tokens');
  await mkdir(join(tokens, '..data'), { recursive: true });
  await writeFile(join(tokens, 'ci'), `${'AB'.repeat(32)}\n`);
  const { apiTokens } = await loadServerConfig({ ...REQUIRED, MAYFLY_API_TOKENS_FOLDER: tokens });
  expect(apiTokens).toEqual([{ name: 'ci', digest: Buffer.alloc(32, 0xab) }]);
});

test('refuses a token that is not a digest, as one in plain text would be', async () => {
  await writeFile(join(folder, 'ci'), 'plain-text-token');
  const error = await loadServerConfig({ ...REQUIRED, MAYFLY_API_TOKENS_FOLDER: folder }).catch(String);
  expect(error).toMatch(/ci is not a SHA-256/);
  expect(error).not.toContain('plain-text-token');
});

test('takes several webhook secrets while they are rotated', async () => {
  const path = join(folder, 'webhook-secrets');
  await writeFile(path, 'new\n\nold\n');
  const config = await loadServerConfig({ ...REQUIRED, MAYFLY_GITHUB_WEBHOOK_SECRETS_FILE: path });
  expect(config.webhookSecrets).toEqual(['new', 'old']);
});
