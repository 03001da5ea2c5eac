// An etcd on this machine, outside of any cluster, which asks its clients for certificates: an operator's own, for one test file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, createLeaf, type PemPair } from '../../src/certificates/issue.ts';
import { readText } from '../../src/kube/body.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { buildBinaries, componentPath } from '../host/binaries.ts';
import { cacheDir } from '../host/instance.ts';
import { createProgress } from '../host/progress.ts';
import { eventually } from './eventually.ts';
import { freePort } from './port-forward.ts';

export interface TestEtcd {
  /** `https://address:port`, from pods of the host. */
  endpoint: string;
  /** What a Secret for its clients holds. */
  clientFiles: Record<'ca.crt' | 'tls.crt' | 'tls.key', string>;
  /** One call of its API in JSON: `/v3/kv/range` for example. */
  call<T>(path: string, body: object): Promise<T>;
  remove(key: string): Promise<void>;
  /** Forgets every version of every key but the newest. */
  compact(): Promise<void>;
  stop(): Promise<void>;
}

const LIFETIME_MS = 3_600_000;
const CALL_TIMEOUT_MS = 30_000;

export async function startEtcd({
  address,
  quotaBytes,
}: {
  /** Of this machine, as pods of the host reach it. */
  address: string;
  quotaBytes: number;
}): Promise<TestEtcd> {
  const folder = await mkdtemp(join(tmpdir(), 'mayfly-etcd-'));
  const validity = { nowMs: Date.now(), lifetimeMs: LIFETIME_MS };
  const plan = { name: 'ca', commonName: 'etcd', organization: 'tests' } as const;
  const authority = await createAuthority(plan, validity);
  const leaf = (name: string, usage: 'client' | 'server', names: string[]): Promise<PemPair> =>
    createLeaf({ name, authority: 'ca', commonName: name, usage, names }, authority, validity);
  const [server, client] = await Promise.all([
    leaf('server', 'server', [address, 'localhost', '127.0.0.1']),
    leaf('client', 'client', []),
  ]);
  const files = {
    'ca.crt': authority.pem.public,
    'server.crt': server.public,
    'server.key': server.private,
    'client.crt': client.public,
    'client.key': client.private,
  };
  await Promise.all(Object.entries(files).map(([name, pem]) => writeFile(join(folder, name), pem)));
  const at = (name: string) => join(folder, name);

  const binaries = await buildBinaries(
    cacheDir(),
    createProgress(
      () => {},
      () => performance.now(),
    ),
  );
  const [port, peerPort] = [await freePort(), await freePort()];
  const endpoint = `https://${address}:${port}`;
  const child = spawn(
    componentPath(binaries, 'etcd'),
    [
      `--data-dir=${at('data')}`,
      '--log-level=error',
      '--unsafe-no-fsync',
      `--quota-backend-bytes=${quotaBytes}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      '--client-cert-auth',
      `--trusted-ca-file=${at('ca.crt')}`,
      `--cert-file=${at('server.crt')}`,
      `--key-file=${at('server.key')}`,
      // With which it asks itself, for its API in JSON.
      `--client-cert-file=${at('client.crt')}`,
      `--client-key-file=${at('client.key')}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  const transport = createTransport(
    { server: endpoint, ca: files['ca.crt'], cert: client.public, key: client.private },
    { process: 'tests' },
  );

  async function call<T>(path: string, body: object): Promise<T> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const response = await transport.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      timeoutMs: CALL_TIMEOUT_MS,
      signal,
    });
    const text = await readText(response.body, Number.MAX_SAFE_INTEGER, signal);
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async function remove(key: string): Promise<void> {
    await call('/v3/kv/deleterange', { key: base64(key) });
  }

  async function compact(): Promise<void> {
    const { header } = await call<{ header: { revision: string } }>('/v3/kv/range', { key: base64('-') });
    await call('/v3/kv/compaction', { revision: header.revision, physical: true });
  }

  async function stop(): Promise<void> {
    await transport.close();
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }

  try {
    await eventually(() => call('/v3/maintenance/status', {}), {
      what: 'etcd answers',
      timeoutMs: CALL_TIMEOUT_MS,
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint,
    clientFiles: { 'ca.crt': files['ca.crt'], 'tls.crt': client.public, 'tls.key': client.private },
    call,
    remove,
    compact,
    stop,
  };
}

/** As keys and values are in its API. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
