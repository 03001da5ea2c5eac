// What one deploy authenticates with inside the virtual cluster. Beginning the next deploy ends it, whoever still holds it.
import { stringify } from 'yaml';
import { isNotFound } from '../../src/kube/errors.ts';
import { CLUSTER_ROLE_BINDINGS, type KubeObject, SERVICE_ACCOUNTS } from '../../src/kube/resource.ts';
import { UnavailableError } from '../../src/lib/errors.ts';
import type { VirtualCluster } from '../virtual-cluster.ts';
import { adminBinding } from '../virtual-kinds.ts';

const ACCOUNT = { namespace: 'kube-system', name: 'mayfly-deploy' };
const FIELD_MANAGER = 'mayfly-worker';
/** The API's own minimum. */
const MIN_LIFETIME_MS = 600_000;

type TokenRequest = KubeObject & { spec: object; status?: { token?: string } };

/**
 * A kubeconfig with a token of a ServiceAccount that is made anew: the tokens of the account that had its name before are bound to
 * that one's UID, and the API server refuses them once its cache of seconds has run out.
 */
export async function issueDeployCredential(
  virtual: VirtualCluster,
  { lifetimeMs, signal }: { lifetimeMs: number; signal: AbortSignal },
): Promise<string> {
  const { client, connection } = virtual;
  await revokeDeployCredential(virtual, signal);
  await client.apply(CLUSTER_ROLE_BINDINGS, adminBinding(ACCOUNT), {
    fieldManager: FIELD_MANAGER,
    force: true,
    signal,
  });
  await client.create<KubeObject>(
    SERVICE_ACCOUNTS,
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: ACCOUNT },
    { signal },
  );
  const request: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: ACCOUNT,
    spec: { audiences: [], expirationSeconds: Math.ceil(Math.max(lifetimeMs, MIN_LIFETIME_MS) / 1000) },
  };
  const { status } = await client.create(SERVICE_ACCOUNTS, request, {
    subresource: 'token',
    name: ACCOUNT.name,
    signal,
  });
  if (!status?.token) {
    throw new UnavailableError({ code: 'NoToken', message: 'the virtual cluster issued no token' });
  }
  const { server, servername, ca = '' } = connection;
  const cluster = {
    server,
    'tls-server-name': servername,
    'certificate-authority-data': Buffer.from(ca).toString('base64'),
  };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'deploy',
    clusters: [{ name: 'deploy', cluster }],
    users: [{ name: 'deploy', user: { token: status.token } }],
    contexts: [{ name: 'deploy', context: { cluster: 'deploy', user: 'deploy' } }],
  });
}

export async function revokeDeployCredential({ client }: VirtualCluster, signal: AbortSignal): Promise<void> {
  try {
    await client.delete(SERVICE_ACCOUNTS, ACCOUNT, { signal });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
