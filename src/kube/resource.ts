// What a Kubernetes object and a kind of object are, and where the API serves them.

/** ObjectMeta as it is on the wire: time stamps are RFC 3339 strings. */
export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: unknown[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** The `Status` object of the API: what every refused request answers with. */
export interface KubeStatus {
  kind: 'Status';
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    kind?: string;
    retryAfterSeconds?: number;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

/** A kind of object and where the API serves it. `group` is empty for the core group. */
export interface ResourceType {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

export interface ObjectName {
  /** Absent for cluster-scoped kinds. */
  namespace?: string;
  name: string;
}

/** `namespace/name`, or `name` for cluster-scoped objects. Neither part can hold a slash. */
export type ObjectKey = string;

export function objectKey({ namespace, name }: ObjectName): ObjectKey {
  return namespace ? `${namespace}/${name}` : name;
}

export function keyOf(object: KubeObject): ObjectKey {
  return objectKey({ namespace: object.metadata.namespace, name: object.metadata.name ?? '' });
}

export function parseKey(key: ObjectKey): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function apiVersionOf({ group, version }: ResourceType): string {
  return group ? `${group}/${version}` : version;
}

/** The URL path of a collection, an object or a sub-resource; every part is percent-encoded. */
export function resourcePath(
  type: ResourceType,
  { namespace, name, subresource }: { namespace?: string; name?: string; subresource?: string } = {},
): string {
  const parts = type.group ? ['apis', type.group, type.version] : ['api', type.version];
  if (type.namespaced && namespace) parts.push('namespaces', namespace);
  parts.push(type.plural);
  if (name) parts.push(name);
  if (subresource) parts.push(...subresource.split('/'));
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

const core = (plural: string, kind: string, namespaced = true): ResourceType => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

const named = (group: string, plural: string, kind: string, namespaced = true): ResourceType => ({
  group,
  version: 'v1',
  plural,
  kind,
  namespaced,
});

export const PODS = core('pods', 'Pod');
export const SERVICES = core('services', 'Service');
export const CONFIG_MAPS = core('configmaps', 'ConfigMap');
export const SECRETS = core('secrets', 'Secret');
export const SERVICE_ACCOUNTS = core('serviceaccounts', 'ServiceAccount');
export const EVENTS = core('events', 'Event');
export const PERSISTENT_VOLUME_CLAIMS = core('persistentvolumeclaims', 'PersistentVolumeClaim');
export const PERSISTENT_VOLUMES = core('persistentvolumes', 'PersistentVolume', false);
export const NODES = core('nodes', 'Node', false);
export const NAMESPACES = core('namespaces', 'Namespace', false);
export const ENDPOINT_SLICES: ResourceType = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

const STORAGE = 'storage.k8s.io';
export const STORAGE_CLASSES = named(STORAGE, 'storageclasses', 'StorageClass', false);
export const CSI_DRIVERS = named(STORAGE, 'csidrivers', 'CSIDriver', false);
export const CSI_NODES = named(STORAGE, 'csinodes', 'CSINode', false);
export const CSI_STORAGE_CAPACITIES = named(STORAGE, 'csistoragecapacities', 'CSIStorageCapacity');

const SNAPSHOT = 'snapshot.storage.k8s.io';
export const VOLUME_SNAPSHOTS = named(SNAPSHOT, 'volumesnapshots', 'VolumeSnapshot');
export const VOLUME_SNAPSHOT_CLASSES = named(SNAPSHOT, 'volumesnapshotclasses', 'VolumeSnapshotClass', false);

const NETWORKING = 'networking.k8s.io';
export const NETWORK_POLICIES = named(NETWORKING, 'networkpolicies', 'NetworkPolicy');
export const INGRESSES = named(NETWORKING, 'ingresses', 'Ingress');
export const INGRESS_CLASSES = named(NETWORKING, 'ingressclasses', 'IngressClass', false);
export const POD_DISRUPTION_BUDGETS = named('policy', 'poddisruptionbudgets', 'PodDisruptionBudget');
export const RUNTIME_CLASSES = named('node.k8s.io', 'runtimeclasses', 'RuntimeClass', false);
export const PRIORITY_CLASSES = named('scheduling.k8s.io', 'priorityclasses', 'PriorityClass', false);
const RBAC = 'rbac.authorization.k8s.io';
export const ROLES = named(RBAC, 'roles', 'Role');
export const ROLE_BINDINGS = named(RBAC, 'rolebindings', 'RoleBinding');
export const CLUSTER_ROLE_BINDINGS = named(RBAC, 'clusterrolebindings', 'ClusterRoleBinding', false);
export const HTTP_ROUTES = named('gateway.networking.k8s.io', 'httproutes', 'HTTPRoute');
export const CUSTOM_RESOURCE_DEFINITIONS = named(
  'apiextensions.k8s.io',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  false,
);
