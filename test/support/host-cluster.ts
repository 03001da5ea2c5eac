// The real cluster that integration tests use, and namespaces in it that go away with the test.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import type { KubeConnection } from '../../src/kube/connection.ts';
import { connectionFromKubeconfig } from '../../src/kube/kubeconfig.ts';
import { NAMESPACES } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { hostKubeconfigPath } from '../host/cluster.ts';

/** In the API server's certificate on every cluster; for reaching it by way of something else. */
export const API_SERVER_NAME = 'kubernetes.default.svc';

export interface TestNamespace {
  client: KubeClient;
  connection: KubeConnection;
  namespace: string;
  /** Deletes the namespace, without waiting for the cluster to be done with it, and closes the client. */
  remove(): Promise<void>;
}

/**
 * A new namespace `<purpose>-<random>`.
 * @param kubeconfig of another cluster than the one that tests share.
 */
export async function createTestNamespace(
  purpose: string,
  kubeconfig = hostKubeconfigPath(),
): Promise<TestNamespace> {
  const connection = connectionFromKubeconfig(await readFile(kubeconfig, 'utf8'));
  const client = createKubeClient(createTransport(connection, { process: 'test' }));
  const namespace = `${purpose}-${randomBytes(4).toString('hex')}`;
  const call = () => ({ signal: AbortSignal.timeout(30_000) });
  await client.create(NAMESPACES, { metadata: { name: namespace } }, call());
  return {
    client,
    connection,
    namespace,
    async remove() {
      await client.delete(NAMESPACES, { name: namespace }, call());
      await client.close();
    },
  };
}
