// The host cluster as tests see it: as its administrator, through our own client and through kubectl and helm.
import { readFile } from 'node:fs/promises';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { connectionFromKubeconfig } from '../../src/kube/kubeconfig.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { hostKubeconfigPath } from '../host/cluster.ts';
import { type RunOptions, run } from '../host/command.ts';
import { helmPath, kubectlPath } from './tools.ts';

/** Longer than any wait that tests ask kubectl or helm for. */
const TOOL_TIMEOUT_MS = 5 * 60_000;

export interface ClusterAccess {
  kubeconfig: string;
  client: KubeClient;
  /** Standard output of kubectl; rejects with what it said when it fails. */
  kubectl(args: readonly string[], options?: RunOptions): Promise<string>;
  helm(args: readonly string[], options?: RunOptions): Promise<string>;
}

/** The cluster of a kubeconfig file; absent: the host cluster of tests. */
export async function clusterAccess(kubeconfig = hostKubeconfigPath()): Promise<ClusterAccess> {
  const connection = connectionFromKubeconfig(await readFile(kubeconfig, 'utf8'));
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const tool =
    (path: () => Promise<string>) =>
    async (args: readonly string[], options: RunOptions = {}) =>
      run(await path(), args, { timeoutMs: TOOL_TIMEOUT_MS, env, ...options });
  return {
    kubeconfig,
    client: createKubeClient(createTransport(connection, { process: 'tests' })),
    kubectl: tool(kubectlPath),
    helm: tool(helmPath),
  };
}
