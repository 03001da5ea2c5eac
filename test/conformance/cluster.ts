// The virtual cluster under test, on a host of two nodes: as an operator would give it to a tenant whom he trusts.

import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { NAMESPACES, type ResourceType, RUNTIME_CLASSES } from '../../src/kube/resource.ts';
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
const REQUEST_TIMEOUT_MS = 30_000;
const GONE_TIMEOUT_MS = 3 * 60_000;

/** Of the handler that tests make classes with. No node has it, and none of them runs a pod: they look where it is placed. */
const RUNTIME_CLASS = { metadata: { name: 'conformance' }, handler: 'test-handler' };

/** No limits of a profile; every node is shown, for tests choose among them; a control plane that hundreds of CRDs fit in. */
const VALUES = {
  'isolation.profile': 'none',
  'sync.nodes.mode': 'all',
  'sync.runtimeClasses': `{${RUNTIME_CLASS.metadata.name}}`,
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
    await clean(host.client);
    await prepare(host.client);
    progress.step('making a virtual cluster');
    const cluster = await installVirtualCluster({ host, namespace: NAMESPACE, name: 'vc', values: VALUES });
    try {
      return await use(cluster);
    } finally {
      if (keep) await cluster.inside.client.close();
      else await cluster.uninstall();
    }
  } finally {
    if (!keep) await clean(host.client);
    await host.client.close();
    if (!keep && !wasUp) await down(name);
  }
}

async function prepare(client: KubeClient): Promise<void> {
  const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' };
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  await client.create(NAMESPACES, { metadata: { name: NAMESPACE, labels } }, { signal });
  await client.create(RUNTIME_CLASSES, RUNTIME_CLASS, { signal });
}

/** Removes what this or an earlier run made and left. */
async function clean(client: KubeClient): Promise<void> {
  const left: [ResourceType, string][] = [
    [NAMESPACES, NAMESPACE],
    [RUNTIME_CLASSES, RUNTIME_CLASS.metadata.name],
  ];
  for (const [type, name] of left) {
    const isGone = async (signal: AbortSignal) => {
      try {
        await client.delete(type, { name }, { signal });
      } catch (error) {
        if (isNotFound(error)) return true;
        throw error;
      }
      throw new Error('it is still there');
    };
    await eventually(isGone, { what: `${name} is gone`, timeoutMs: GONE_TIMEOUT_MS, intervalMs: 1_000 });
  }
}
