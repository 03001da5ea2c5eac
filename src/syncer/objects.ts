// The Kubernetes objects the syncer handles, typed as they are on the wire: time stamps are strings, metadata is ours.
// Types only: the generated client itself is never loaded (110 MiB at import).
import type {
  CoreV1Event,
  V1ConfigMap,
  V1EndpointSlice,
  V1Namespace,
  V1Node,
  V1Pod,
  V1Secret,
  V1Service,
} from '@kubernetes/client-node';
import type { WireObject } from '../kube/wire.ts';

export type Pod = WireObject<V1Pod>;
export type PodSpec = NonNullable<Pod['spec']>;
export type PodStatus = NonNullable<Pod['status']>;
export type PodCondition = NonNullable<PodStatus['conditions']>[number];
export type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
export type Container = PodSpec['containers'][number];
export type EphemeralContainer = NonNullable<PodSpec['ephemeralContainers']>[number];
export type EnvVar = NonNullable<Container['env']>[number];
export type Volume = NonNullable<PodSpec['volumes']>[number];
export type VolumeProjection = NonNullable<NonNullable<Volume['projected']>['sources']>[number];
export type Affinity = NonNullable<PodSpec['affinity']>;
export type Toleration = NonNullable<PodSpec['tolerations']>[number];
export type LabelSelector = NonNullable<
  NonNullable<PodSpec['topologySpreadConstraints']>[number]['labelSelector']
>;
export type Service = WireObject<V1Service>;
export type ServiceSpec = NonNullable<Service['spec']>;
export type ServicePort = NonNullable<ServiceSpec['ports']>[number];
export type EndpointSlice = WireObject<V1EndpointSlice>;
export type ConfigMap = WireObject<V1ConfigMap>;
export type Secret = WireObject<V1Secret>;
export type Node = WireObject<V1Node>;
export type NodeStatus = NonNullable<Node['status']>;
export type Namespace = WireObject<V1Namespace>;
export type Event = WireObject<CoreV1Event>;
