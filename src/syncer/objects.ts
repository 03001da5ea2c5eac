// The Kubernetes objects the syncer handles, typed as they are on the wire: time stamps are strings, metadata is ours.
// Types only: the generated client itself is never loaded (110 MiB at import).
import type {
  CoreV1Event,
  V1ConfigMap,
  V1CSIDriver,
  V1CSINode,
  V1CSIStorageCapacity,
  V1EndpointSlice,
  V1Ingress,
  V1IngressClass,
  V1Namespace,
  V1NetworkPolicy,
  V1Node,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1PriorityClass,
  V1RuntimeClass,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1StorageClass,
} from '@kubernetes/client-node';
import type { KubeObject } from '../kube/resource.ts';
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
export type PersistentVolumeClaim = WireObject<V1PersistentVolumeClaim>;
export type PersistentVolumeClaimSpec = NonNullable<PersistentVolumeClaim['spec']>;
export type PersistentVolumeClaimStatus = NonNullable<PersistentVolumeClaim['status']>;
export type PersistentVolume = WireObject<V1PersistentVolume>;
export type PersistentVolumeSpec = NonNullable<PersistentVolume['spec']>;
export type StorageClass = WireObject<V1StorageClass>;
export type CsiDriver = WireObject<V1CSIDriver>;
export type CsiNode = WireObject<V1CSINode>;
export type CsiStorageCapacity = WireObject<V1CSIStorageCapacity>;

/** Of the external snapshotter's CustomResourceDefinitions, which the generated client does not know. */
export interface VolumeSnapshotClass extends KubeObject {
  driver: string;
  deletionPolicy: string;
}

export interface VolumeSnapshot extends KubeObject {
  spec: {
    source: { persistentVolumeClaimName?: string; volumeSnapshotContentName?: string };
    volumeSnapshotClassName?: string;
  };
  status?: {
    boundVolumeSnapshotContentName?: string;
    creationTime?: string;
    readyToUse?: boolean;
    restoreSize?: string;
    error?: { message?: string; time?: string };
  };
}
type GeneratedPolicy = WireObject<V1NetworkPolicy>;
type GeneratedPolicySpec = NonNullable<GeneratedPolicy['spec']>;
export type EgressRule = NonNullable<GeneratedPolicySpec['egress']>[number];
export type NetworkPolicyPeer = NonNullable<EgressRule['to']>[number];
export type NetworkPolicyPort = NonNullable<EgressRule['ports']>[number];
/** The generated client writes `_from`, because other languages reserve the word. */
export interface IngressRule {
  from?: NetworkPolicyPeer[];
  ports?: NetworkPolicyPort[];
}
export type NetworkPolicySpec = Omit<GeneratedPolicySpec, 'ingress'> & { ingress?: IngressRule[] };
export type NetworkPolicy = Omit<GeneratedPolicy, 'spec'> & { spec?: NetworkPolicySpec };
export type PodDisruptionBudget = WireObject<V1PodDisruptionBudget>;
export type Ingress = WireObject<V1Ingress>;
export type IngressSpec = NonNullable<Ingress['spec']>;
export type IngressClass = WireObject<V1IngressClass>;
export type RuntimeClass = WireObject<V1RuntimeClass>;
export type PriorityClass = WireObject<V1PriorityClass>;
export type ServiceAccount = WireObject<V1ServiceAccount>;
