// The kinds of objects that the worker handles on the host: those of charts/virtual-cluster and those around it.
import {
  apiVersionOf,
  CONFIG_MAPS,
  type KubeObject,
  NETWORK_POLICIES,
  PERSISTENT_VOLUME_CLAIMS,
  type ResourceType,
  ROLE_BINDINGS,
  ROLES,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../src/kube/resource.ts';
import { InvalidInputError } from '../src/lib/errors.ts';

const namespaced = (group: string, plural: string, kind: string): ResourceType => ({
  group,
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});

export const STATEFUL_SETS = namespaced('apps', 'statefulsets', 'StatefulSet');
export const SERVICE_CIDRS: ResourceType = {
  ...namespaced('networking.k8s.io', 'servicecidrs', 'ServiceCIDR'),
  namespaced: false,
};

/** What charts/virtual-cluster may make. */
export const CHART_KINDS: readonly ResourceType[] = [
  CONFIG_MAPS,
  SECRETS,
  SERVICES,
  SERVICE_ACCOUNTS,
  PERSISTENT_VOLUME_CLAIMS,
  namespaced('', 'resourcequotas', 'ResourceQuota'),
  namespaced('', 'limitranges', 'LimitRange'),
  ROLES,
  ROLE_BINDINGS,
  STATEFUL_SETS,
  NETWORK_POLICIES,
];

/** @throws InvalidInputError `UnknownKind` for what the chart must not hold, cluster-scoped kinds among it. */
export function chartKindOf({ apiVersion, kind }: KubeObject): ResourceType {
  const type = CHART_KINDS.find((known) => known.kind === kind && apiVersionOf(known) === apiVersion);
  if (type) return type;
  throw new InvalidInputError({
    code: 'UnknownKind',
    message: `the chart of virtual clusters makes a ${kind} (${apiVersion}), which the worker has no right to`,
  });
}
