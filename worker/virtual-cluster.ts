// The worker's way into an environment's virtual cluster: as its administrator, at the cluster IP of its Service, so that no DNS
// answer from before the Service existed stands in the way.
import type { ClusterAccess } from '../src/environments/cluster-access.ts';
import type { Environment } from '../src/environments/resource.ts';
import { createKubeClient, type KubeClient } from '../src/kube/client.ts';
import type { KubeConnection } from '../src/kube/connection.ts';
import { type KubeObject, SERVICES } from '../src/kube/resource.ts';
import { createTransport } from '../src/kube/transport.ts';
import { UnavailableError } from '../src/lib/errors.ts';
import { urlHost } from '../src/lib/ip-address.ts';
import { hostPlaceOf } from './host-namespace.ts';

export interface VirtualCluster extends AsyncDisposable {
  client: KubeClient;
  connection: KubeConnection;
}

export type OpenVirtualCluster = (environment: Environment, signal: AbortSignal) => Promise<VirtualCluster>;

export interface VirtualClusterDeps {
  /** Of the host. */
  client: KubeClient;
  access: ClusterAccess;
}

export function createVirtualClusterOpener({ client: host, access }: VirtualClusterDeps): OpenVirtualCluster {
  return async (environment, signal) => {
    const { cluster, namespace } = hostPlaceOf(environment);
    const [base, service] = await Promise.all([
      access.connection(environment, signal),
      host.get<KubeObject & { spec?: { clusterIP?: string } }>(
        SERVICES,
        { namespace, name: cluster },
        { signal },
      ),
    ]);
    const address = service.spec?.clusterIP;
    if (!address) {
      throw new UnavailableError({
        code: 'ClusterIncomplete',
        message: `the Service of the virtual cluster ${cluster} has no address`,
      });
    }
    const connection: KubeConnection = {
      ...base,
      server: `https://${urlHost(address)}:443`,
      servername: `${cluster}.${namespace}.svc`,
    };
    const client = createKubeClient(createTransport(connection, { process: 'worker' }));
    return { client, connection, [Symbol.asyncDispose]: () => client.close() };
  };
}
