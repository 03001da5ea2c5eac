import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { InvalidInputError } from '../lib/errors.ts';
import { inClusterConnection } from './connection.ts';
import { endpointOf } from './endpoint.ts';

const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

describe('the connection from inside a cluster', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mayfly-account-'));
    await writeFile(join(folder, 'ca.crt'), 'the CA');
    await writeFile(join(folder, 'token'), 'token-1\n');
    onTestFinished(() => rm(folder, { recursive: true }));
  });

  it('is that of the service account', async () => {
    const connection = await inClusterConnection(env, folder);
    expect(connection).toMatchObject({ server: 'https://10.96.0.1:443', ca: 'the CA' });
    expect(await connection.token?.()).toBe('token-1');
  });

  it('writes an IPv6 address as URLs want it', async () => {
    const connection = await inClusterConnection({ ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' }, folder);
    expect(connection.server).toBe('https://[fd00::1]:443');
  });

  it('follows a token that is replaced, and reads it at most every ten seconds', async () => {
    const clock = createManualClock();
    const { token } = await inClusterConnection(env, folder, clock);
    await writeFile(join(folder, 'token'), 'token-2');
    await clock.advance(9_999);
    expect(await token?.()).toBe('token-1');
    await clock.advance(1);
    expect(await token?.()).toBe('token-2');
  });

  it('is refused outside a pod, and without a service account', async () => {
    await expect(inClusterConnection({}, folder)).rejects.toBeInstanceOf(InvalidInputError);
    await expect(inClusterConnection(env, join(folder, 'none'))).rejects.toBeInstanceOf(InvalidInputError);
  });
});

describe('the endpoint of a connection', () => {
  it.each([
    ['https://api.example', 'api.example', 443, ''],
    ['https://[fd00::1]:6443/', 'fd00::1', 6443, ''],
    ['http://127.0.0.1:8001/clusters/a/', '127.0.0.1', 8001, '/clusters/a'],
  ])('%s', (server, host, port, basePath) => {
    expect(endpointOf({ server })).toMatchObject({ host, port, basePath });
  });

  it.each([
    { server: 'nonsense' },
    { server: 'ftp://host' },
    { server: 'https://host', cert: 'no PEM', key: 'no PEM' },
  ])('is refused: %o', (connection) => {
    expect(() => endpointOf(connection)).toThrow(InvalidInputError);
  });
});
