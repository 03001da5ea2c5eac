// Kinds that only tests speak of.
import type { ResourceType } from '../../src/kube/resource.ts';

const namespaced = (group: string, version: string, plural: string, kind: string): ResourceType => ({
  group,
  version,
  plural,
  kind,
  namespaced: true,
});

export const RESOURCE_QUOTAS = namespaced('', 'v1', 'resourcequotas', 'ResourceQuota');
export const POD_METRICS = namespaced('metrics.k8s.io', 'v1beta1', 'pods', 'PodMetrics');
export const AUTOSCALERS = namespaced(
  'autoscaling',
  'v2',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const LIMIT_RANGES = namespaced('', 'v1', 'limitranges', 'LimitRange');
export const JOBS = namespaced('batch', 'v1', 'jobs', 'Job');
export const DEPLOYMENTS = namespaced('apps', 'v1', 'deployments', 'Deployment');
export const STATEFUL_SETS = namespaced('apps', 'v1', 'statefulsets', 'StatefulSet');
export const FLOW_SCHEMAS: ResourceType = {
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  plural: 'flowschemas',
  kind: 'FlowSchema',
  namespaced: false,
};
