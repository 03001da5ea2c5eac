// The kinds of objects that the worker reads or writes inside virtual clusters.
import {
  ENDPOINT_SLICES,
  EVENTS,
  type KubeObject,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  type ResourceType,
  SERVICES,
} from '../src/kube/resource.ts';
import { STATEFUL_SETS } from './host-kinds.ts';

const clusterScoped = (group: string, plural: string, kind: string): ResourceType => ({
  group,
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});
const apps = (plural: string, kind: string): ResourceType => ({
  group: 'apps',
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});

export const MUTATING_WEBHOOK_CONFIGURATIONS = clusterScoped(
  'admissionregistration.k8s.io',
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
);

/** Makes a ServiceAccount of the virtual cluster its administrator. */
export function adminBinding({ name, namespace }: { name: string; namespace: string }): KubeObject {
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  };
  return binding;
}

/** What a diagnosis of a deployed app looks at. */
export const APP_KINDS = {
  deployments: apps('deployments', 'Deployment'),
  replicaSets: apps('replicasets', 'ReplicaSet'),
  statefulSets: STATEFUL_SETS,
  daemonSets: apps('daemonsets', 'DaemonSet'),
  jobs: { group: 'batch', version: 'v1', plural: 'jobs', kind: 'Job', namespaced: true },
  pods: PODS,
  events: EVENTS,
  services: SERVICES,
  endpointSlices: ENDPOINT_SLICES,
  persistentVolumeClaims: PERSISTENT_VOLUME_CLAIMS,
  storageClasses: clusterScoped('storage.k8s.io', 'storageclasses', 'StorageClass'),
} as const satisfies Record<string, ResourceType>;
