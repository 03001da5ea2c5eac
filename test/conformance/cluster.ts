// The virtual cluster under test, on a host of two nodes: as an operator would give it to a tenant whom he trusts.

import { isNotFound } from '../../src/kube/errors.ts';
import { NAMESPACES } from '../../src/kube/resource.ts';
import { externalKubeconfig } from '../host/cluster.ts';
import { down, up } from '../host/host.ts';
import { kubeconfigOf } from '../host/instance.ts';
import { loadImages, loadProjectImage } from '../host/load.ts';
import type { Image } from '../host/oci.ts';
import type { Progress } from '../host/progress.ts';
import { readState } from '../host/state.ts';
import { clusterAccess } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../support/virtual-cluster.ts';

const NAMESPACE = 'conformance';
const NODES = 2;
const GONE_TIMEOUT_MS = 3 * 60_000;

/** No limits of a profile; every node is shown, for tests choose among them; a control plane that hundreds of CRDs fit in. */
const VALUES = {
  'isolation.profile': 'none',
  'sync.nodes.mode': 'all',
  'persistence.type': 'memory',
  'resources.kubeApiserver.limits.memory': '3Gi',
  'resources.kubeControllerManager.limits.memory': '1Gi',
  'resources.kine.limits.memory': '2Gi',
  'resources.syncer.limits.memory': '1Gi',
};

export interface ClusterOptions {
  /** Of the host's instance. */
  name: string;
  images: readonly Image[];
  /** Leave everything as it is in the end. */
  keep: boolean;
}

/** Makes a new virtual cluster for `use`. Ends it afterwards, and the host too when it was not up before. */
export async function withConformanceCluster<T>(
  { name, images, keep }: ClusterOptions,
  progress: Progress,
  use: (cluster: InstalledVirtualCluster) => Promise<T>,
): Promise<T> {
  const external = externalKubeconfig();
  const wasUp = external !== undefined || (await readState(name)) !== undefined;
  if (!external) await up({ name, nodeCount: NODES, audit: false }, progress);
  await loadProjectImage(name, progress);
  await loadImages(name, images, progress);
  const host = await clusterAccess(external ?? kubeconfigOf(name));
  try {
    await removeNamespace();
    const metadata = {
      name: NAMESPACE,
      labels: { 'pod-security.kubernetes.io/enforce': 'privileged' },
    };
    await host.client.create(NAMESPACES, { metadata }, { signal: AbortSignal.timeout(30_000) });
    progress.step('making a virtual cluster');
    const cluster = await installVirtualCluster({ host, namespace: NAMESPACE, name: 'vc', values: VALUES });
    try {
      return await use(cluster);
    } finally {
      if (keep) await cluster.inside.client.close();
      else await cluster.uninstall();
    }
  } finally {
    if (!keep) await removeNamespace();
    await host.client.close();
    if (!keep && !wasUp) await down(name);
  }

  async function removeNamespace(): Promise<void> {
    const missing = async (signal: AbortSignal) => {
      const found = await host.client
        .get(NAMESPACES, { name: NAMESPACE }, { signal })
        .catch((error: unknown) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
      if (!found) return true;
      await host.client.delete(NAMESPACES, { name: NAMESPACE }, { signal });
      throw new Error(`namespace ${NAMESPACE} is still there`);
    };
    await eventually(missing, {
      what: `namespace ${NAMESPACE} is gone`,
      timeoutMs: GONE_TIMEOUT_MS,
      intervalMs: 1_000,
    });
  }
}
