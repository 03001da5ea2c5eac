// Which cluster tests, demo and benchmarks use: the test host, or one that the environment names.
import { DEFAULT_INSTANCE, kubeconfigOf } from './instance.ts';

/** Path of a kubeconfig of a cluster that somebody else runs (kind, k3d); nothing is started or built then. */
export function externalKubeconfig(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env.MAYFLY_KUBECONFIG || undefined;
}

/** Path of the kubeconfig of the cluster to use. The file exists once `npm run host -- up` has ended. */
export function hostKubeconfigPath(env: NodeJS.ProcessEnv = process.env): string {
  return externalKubeconfig(env) ?? kubeconfigOf(DEFAULT_INSTANCE);
}
