// The control plane's pod as network policies see it: on the host a pod of the chart, inside the pods of `kube-dns` and the
// address of the API.
import type { LabelSelector } from '../../objects.ts';

export interface ControlPort {
  protocol: 'TCP' | 'UDP';
  /** Of the pod, as policies count: behind the Service. */
  port: number;
  /** By convention, and in the chart. */
  name: string;
}

export const portsOfDns: readonly ControlPort[] = [
  { protocol: 'UDP', port: 53, name: 'dns' },
  { protocol: 'TCP', port: 53, name: 'dns-tcp' },
];
export const portsOfApi: readonly ControlPort[] = [{ protocol: 'TCP', port: 6443, name: 'https' }];

/** What users select to allow DNS; no such pods exist inside, for the syncer answers. */
export const DNS_PODS = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };

/** As the chart labels its StatefulSet. No label of a tenant's pod arrives on the host under these keys. */
export function controlPlanePods(cluster: string): LabelSelector {
  return {
    matchLabels: { 'app.kubernetes.io/name': 'virtual-cluster', 'app.kubernetes.io/instance': cluster },
  };
}
