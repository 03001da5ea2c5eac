// What a cluster looks like from outside: for people, and as an exit code.
import { kubectlPath } from '../support/tools.ts';
import { externalKubeconfig } from './cluster.ts';
import { kubeconfigOf } from './instance.ts';
import { createKubectl } from './kubectl.ts';
import { nodeLogs } from './node.ts';
import { readState, runningInstance } from './state.ts';

export interface HostStatus {
  readonly up: boolean;
  readonly lines: readonly string[];
}

export async function statusOf(name: string): Promise<HostStatus> {
  const external = externalKubeconfig();
  if (!external && !(await readState(name))) return { up: false, lines: [`test host ${name} is not up`] };
  const kubeconfig = external ?? kubeconfigOf(name);
  const kubectl = createKubectl(await kubectlPath(), kubeconfig);
  const nodes = await kubectl.attempt(['get', 'nodes', '--request-timeout=5s']);
  const instance = external ? undefined : await runningInstance(name);
  const ours = instance
    ? [
        `addresses:  ${instance.families.join(', ')}`,
        ...instance.nodes.map((node) => `logs:       ${nodeLogs(node)}`),
      ]
    : [];
  return {
    up: nodes.code === 0,
    lines: [`kubeconfig: ${kubeconfig}`, ...ours, (nodes.code === 0 ? nodes.stdout : nodes.stderr).trim()],
  };
}
