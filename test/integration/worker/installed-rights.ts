// charts/mayfly installed without any process, and a client with the worker's own token: what the worker may do on a real host.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createKubeClient, type KubeClient } from '../../../src/kube/client.ts';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { type KubeObject, NAMESPACES, SERVICE_ACCOUNTS } from '../../../src/kube/resource.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { clusterAccess } from '../../support/cluster.ts';

export interface InstalledRights {
  /** Also the name of the release and the value of the label of its namespaces. */
  name: string;
  namespace: string;
  /** As administrator. */
  admin: KubeClient;
  /** As the service account of worker or server. */
  worker: KubeClient;
  server: KubeClient;
  /** As any other service account; whoever asks closes it. */
  clientAs(namespace: string, account: string): Promise<KubeClient>;
  /** `helm upgrade` to the same. */
  upgrade(flags: readonly string[]): Promise<void>;
  remove(): Promise<void>;
}

const call = () => ({ signal: AbortSignal.timeout(30_000) });

export async function installRights(): Promise<InstalledRights> {
  const cluster = await clusterAccess();
  const name = `mayfly-rights-${randomBytes(3).toString('hex')}`;
  await cluster.helm([
    ...['install', name, 'charts/mayfly', '--namespace', name, '--create-namespace', '--take-ownership'],
    ...['--set', 'publicUrl=http://mayfly.test,previewUrl=http://preview.test'],
    ...['--set', 'server.replicas=0,worker.replicas=0,redis.url=redis://nowhere.test:6379'],
  ]);
  await cluster.kubectl([
    'wait',
    '--for=condition=Established',
    'crd/environments.mayfly.dev',
    '--timeout=30s',
  ]);
  const [worker, server] = await Promise.all([
    clientAs(cluster, name, `${name}-worker`),
    clientAs(cluster, name, `${name}-server`),
  ]);
  return {
    name,
    namespace: name,
    admin: cluster.client,
    worker,
    server,
    clientAs: (namespace, account) => clientAs(cluster, namespace, account),
    async upgrade(flags) {
      const release = [name, 'charts/mayfly', '--namespace', name, '--reuse-values'];
      await cluster.helm(['upgrade', ...release, ...flags]);
    },
    async remove() {
      await Promise.all([worker.close(), server.close()]);
      await cluster.helm(['uninstall', name, '--namespace', name]);
      await cluster.client.delete(NAMESPACES, { name }, call());
      await cluster.client.close();
    },
  };
}

async function clientAs(
  { client, kubeconfig }: { client: KubeClient; kubeconfig: string },
  namespace: string,
  account: string,
): Promise<KubeClient> {
  type TokenRequest = KubeObject & { spec: object; status?: { token: string } };
  const request: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { namespace, name: account },
    spec: { audiences: [], expirationSeconds: 3600 },
  };
  const { status } = await client.create(SERVICE_ACCOUNTS, request, {
    subresource: 'token',
    name: account,
    ...call(),
  });
  const { server, ca } = connectionFromKubeconfig(await readFile(kubeconfig, 'utf8'));
  const token = status?.token ?? '';
  return createKubeClient(createTransport({ server, ca, token: () => token }, { process: 'tests' }));
}
