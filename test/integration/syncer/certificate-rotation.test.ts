// Certificates that live for a minute or so, in a virtual cluster that outlives them several times (F23).
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAuthority, renewAuthority } from '../../../src/certificates/issue.ts';
import { type Secret, secretFiles } from '../../../src/certificates/secrets.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { type KubeObject, NAMESPACES, PODS, SECRETS, SERVICES } from '../../../src/kube/resource.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { MUTATING_WEBHOOK_CONFIGURATIONS } from '../../../src/syncer/admission/configuration.ts';
import type { Pod, Service } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { call, type SyncedCluster, sleeper, startSyncedCluster } from '../../support/synced-cluster.ts';

const CLUSTER = 'rotating';
const LIFETIME_MS = 75_000;
const MINUTE_MS = 60_000;
const WEBHOOKS = MUTATING_WEBHOOK_CONFIGURATIONS;
const within = (what: string) => ({ what, timeoutMs: 2 * LIFETIME_MS, intervalMs: 1_000 });

interface Registered {
  webhooks: { clientConfig: { caBundle?: string } }[];
}

let cluster: SyncedCluster;
let address: string;
let first: Record<string, string>;

beforeAll(async () => {
  cluster = await startSyncedCluster(CLUSTER, { 'certificates.lifetime': `${LIFETIME_MS / 1000}s` });
  const service = await cluster.host.client.get<Service>(SERVICES, hostName(CLUSTER), call());
  address = service.spec?.clusterIP ?? '';
  first = await files();
});
afterAll(() => cluster?.remove());

const hostName = (name: string) => ({ namespace: cluster.hostNamespace, name });
const named = (name: string) => ({ namespace: 'default', name });

async function files(secret = `${CLUSTER}-certificates`): Promise<Record<string, string>> {
  return secretFiles(await cluster.host.client.get<Secret>(SECRETS, hostName(secret), call()));
}

/** A client with the administrator's kubeconfig as the host has it now. */
async function administrator() {
  const { config = '' } = await files(`${CLUSTER}-kubeconfig`);
  const connection = { ...connectionFromKubeconfig(config), server: `https://${address}:443` };
  return createKubeClient(createTransport(connection, { process: 'tests' }));
}

/** The certificate that the API server shows. */
function served(): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: 443, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate) resolve(certificate);
      else reject(new Error('the API server shows no certificate'));
    });
    socket.on('error', reject);
  });
}

const endMs = (pem = '') => new X509Certificate(pem).validToDate.getTime();

async function restarts(): Promise<number[]> {
  const { status } = await cluster.host.client.get<Pod>(PODS, hostName(`${CLUSTER}-0`), call());
  return (status?.containerStatuses ?? []).map(({ restartCount }) => restartCount);
}

test('clients keep working while all certificates expire and are renewed, and nothing restarts (F23)', async () => {
  const firstEndMs = endMs(first['apiserver.crt']);
  const earlier = await administrator();
  await eventually(async () => {
    // Whoever has a valid kubeconfig is served at any moment.
    const client = await administrator();
    await client.list(NAMESPACES, call()).finally(() => client.close());
    if (Date.now() < firstEndMs - 5_000) await earlier.list(NAMESPACES, call());
    return Date.now() > firstEndMs + 5_000 ? true : undefined;
  }, within('the first certificates are expired'));
  await expect(earlier.list(NAMESPACES, call())).rejects.toMatchObject({ status: 401 });
  await earlier.close();
  expect((await served()).validToDate.getTime()).toBeGreaterThan(Date.now());
  expect((await files())['ca.crt']).toBe(first['ca.crt']);
  expect(await restarts()).toEqual([0, 0, 0, 0]);
});

test('the syncer serves on with certificates that were made while it ran (F23)', async () => {
  const client = await administrator();
  // Its own identity at the virtual API, and the serving certificate of its webhook.
  await client.create<Pod>(PODS, sleeper(named('late')), call());
  const service = { metadata: named('late'), spec: { selector: { app: 'late' }, ports: [{ port: 80 }] } };
  expect((await client.create<Service>(SERVICES, service, call())).spec?.clusterIP).toBeTruthy();
  await eventually(async () => {
    const { status } = await client.get<Pod>(PODS, named('late'), call());
    return status?.phase === 'Running' ? status : undefined;
  }, within('a pod runs'));
  // The kubelet's serving certificate, and the API server's identity there. An API server that sees another certificate of
  // its own breaks all connections, the one it is just making among them.
  const path = '/api/v1/namespaces/default/pods/late/log';
  const log = await eventually(() => client.text(path, call()), within('the log is read'));
  expect(log).toBe('');
  await client.close();
});

test('an authority that nears its end is extended, for clients of before and after (F23)', async () => {
  const secret = await cluster.host.client.get<Secret>(SECRETS, hostName(`${CLUSTER}-certificates`), call());
  const { 'ca.crt': certificate = '', 'ca.key': key = '' } = secretFiles(secret);
  const authority = await readAuthority({ public: certificate, private: key });
  // As if ten years were nearly over: ten minutes are left of more than an hour.
  const [agoMs, lifetimeMs] = [30 * MINUTE_MS, 40 * MINUTE_MS];
  const { pem } = await renewAuthority(authority, { nowMs: Date.now() - agoMs, lifetimeMs });
  const data = { ...secret.data, 'ca.crt': Buffer.from(pem.public).toString('base64') };
  await cluster.host.client.update<Secret>(SECRETS, { ...secret, data }, call());
  const extended = await eventually(async () => {
    const { 'ca.crt': current } = await files();
    return endMs(current) > Date.now() + lifetimeMs ? current : undefined;
  }, within('the authority is extended'));
  expect(extended).not.toBe(certificate);
  const client = await eventually(async () => {
    const current = await administrator();
    const registered = await current.list<KubeObject & Registered>(WEBHOOKS, call());
    const bundle = registered.items[0]?.webhooks[0]?.clientConfig.caBundle;
    if (bundle === Buffer.from(extended).toString('base64')) return current;
    return void (await current.close());
  }, within('the webhook is registered with the extended authority'));
  const trusting = async (ca: string) => {
    const { config = '' } = await files(`${CLUSTER}-kubeconfig`);
    const connection = { ...connectionFromKubeconfig(config), server: `https://${address}:443`, ca };
    const access = createKubeClient(createTransport(connection, { process: 'tests' }));
    return access.text('/livez', call()).finally(() => access.close());
  };
  expect(await Promise.all([first['ca.crt'] ?? '', pem.public, extended].map(trusting))).toEqual([
    'ok',
    'ok',
    'ok',
  ]);
  const service = { metadata: named('later'), spec: { ports: [{ port: 80 }] } };
  expect((await client.create<Service>(SERVICES, service, call())).spec?.clusterIP).toBeTruthy();
  await client.close();
  expect(await restarts()).toEqual([0, 0, 0, 0]);
});
