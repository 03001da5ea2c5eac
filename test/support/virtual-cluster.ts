// A virtual cluster as `helm install charts/virtual-cluster` alone gives it, and access to it from the machine of the tests.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KubeObject, SECRETS, SERVICES } from '../../src/kube/resource.ts';
import { urlHost } from '../../src/lib/ip-address.ts';
import { type ClusterAccess, clusterAccess } from './cluster.ts';
import { MACHINE_IS_CLIENT } from './network-access.ts';

const CHART = 'charts/virtual-cluster';
const REQUEST_TIMEOUT_MS = 30_000;

export interface VirtualClusterOptions {
  host: ClusterAccess;
  /** An existing namespace of the host. */
  namespace: string;
  /** The release's name, and so the cluster's. */
  name: string;
  values?: Record<string, string>;
}

export interface InstalledVirtualCluster {
  name: string;
  namespace: string;
  /** Inside, as the kubeconfig that the chart made says. */
  inside: ClusterAccess;
  uninstall(): Promise<void>;
}

/** Installs the chart, with the machine as a client, and returns once its pod is ready. */
export async function installVirtualCluster(
  options: VirtualClusterOptions,
): Promise<InstalledVirtualCluster> {
  const { host, namespace, name, values = {} } = options;
  const settings = { 'image.tag': 'dev', ...MACHINE_IS_CLIENT, ...values };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  await host.helm([
    'install',
    name,
    CHART,
    '--namespace',
    namespace,
    '--wait',
    '--timeout',
    '120s',
    ...flags,
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'virtual-cluster-'));
  const inside = await virtualClusterAccess(host, { namespace, name, folder });
  return {
    name,
    namespace,
    inside,
    async uninstall() {
      await inside.client.close();
      await rm(folder, { recursive: true, force: true });
      await host.helm(['uninstall', name, '--namespace', namespace, '--wait', '--timeout', '60s']);
    },
  };
}

interface Located {
  namespace: string;
  name: string;
  /** Where the kubeconfig is kept. */
  folder: string;
}

/** The chart's kubeconfig, with the Service's address in place of its name, which only pods of the host resolve. */
async function virtualClusterAccess(host: ClusterAccess, { namespace, name, folder }: Located) {
  const options = { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) };
  const secretName = { namespace, name: `${name}-kubeconfig` };
  const secret = await host.client.get<KubeObject & { data: { config: string } }>(
    SECRETS,
    secretName,
    options,
  );
  const service = await host.client.get<KubeObject & { spec: { clusterIP: string } }>(
    SERVICES,
    { namespace, name },
    options,
  );
  const kubeconfig = Buffer.from(secret.data.config, 'base64')
    .toString()
    .replace(/server: .*/, `server: https://${urlHost(service.spec.clusterIP)}:443`);
  const path = join(folder, 'kubeconfig');
  await writeFile(path, kubeconfig, { mode: 0o600 });
  return clusterAccess(path);
}
