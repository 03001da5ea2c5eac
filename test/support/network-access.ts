// Ways past the network policies of virtual clusters for tests and benchmarks, which run on the machine and not in a pod.
import type { KubeClient } from '../../src/kube/client.ts';
import { NETWORK_POLICIES } from '../../src/kube/resource.ts';
import type { NetworkPolicy } from '../../src/syncer/objects.ts';
import { NODE_RANGES } from '../host/instance.ts';

/** Values of charts/virtual-cluster. A node's address stands for the machine's where a Service leads to another node. */
export const MACHINE_IS_CLIENT = Object.fromEntries(
  NODE_RANGES.map((range, index) => [`isolation.networkPolicy.clients[${index}].ipBlock.cidr`, range]),
);

/** Lets the machine into all pods of a host namespace: policies add up. */
export async function admitMachine(host: KubeClient, namespace: string, signal: AbortSignal): Promise<void> {
  const policy: NetworkPolicy = {
    metadata: { namespace, name: 'machine' },
    spec: {
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [{ from: NODE_RANGES.map((cidr) => ({ ipBlock: { cidr } })) }],
    },
  };
  await host.create(NETWORK_POLICIES, policy, { signal });
}
