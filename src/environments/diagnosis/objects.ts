// What a diagnosis looks at: the objects of a virtual cluster as they are on the wire, indexed the way causes are followed.
import type {
  CoreV1Event,
  V1DaemonSet,
  V1Deployment,
  V1EndpointSlice,
  V1Job,
  V1PersistentVolumeClaim,
  V1Pod,
  V1ReplicaSet,
  V1Service,
  V1StatefulSet,
  V1StorageClass,
} from '@kubernetes/client-node';
import type { KubeObject } from '../../kube/resource.ts';
import type { WireObject } from '../../kube/wire.ts';

export type Deployment = WireObject<V1Deployment>;
export type ReplicaSet = WireObject<V1ReplicaSet>;
export type StatefulSet = WireObject<V1StatefulSet>;
export type DaemonSet = WireObject<V1DaemonSet>;
export type Job = WireObject<V1Job>;
export type Pod = WireObject<V1Pod>;
export type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];
export type Event = WireObject<CoreV1Event>;
export type Service = WireObject<V1Service>;
export type EndpointSlice = WireObject<V1EndpointSlice>;
export type PersistentVolumeClaim = WireObject<V1PersistentVolumeClaim>;
export type StorageClass = WireObject<V1StorageClass>;

/** Everything that was listed, of the namespaces that were deployed to. */
export interface ClusterObjects {
  deployments: readonly Deployment[];
  replicaSets: readonly ReplicaSet[];
  statefulSets: readonly StatefulSet[];
  daemonSets: readonly DaemonSet[];
  jobs: readonly Job[];
  pods: readonly Pod[];
  events: readonly Event[];
  services: readonly Service[];
  endpointSlices: readonly EndpointSlice[];
  persistentVolumeClaims: readonly PersistentVolumeClaim[];
  storageClasses: readonly StorageClass[];
}

/** One thing that is not as it should be. */
export interface Problem {
  /** PascalCase, stable: the reason of a condition. */
  reason: string;
  /** A clause for people that names the object, without a full stop. */
  message: string;
  /** Waiting longer will not help: somebody has to change something. */
  final: boolean;
}

export function nameOf({ metadata }: KubeObject): string {
  return metadata.name ?? '';
}

export function isControlledBy(object: KubeObject, controller: KubeObject): boolean {
  return (object.metadata.ownerReferences ?? []).some(
    (owner) => owner.controller === true && owner.uid === controller.metadata.uid,
  );
}

export function hasController({ metadata }: KubeObject): boolean {
  return (metadata.ownerReferences ?? []).some(({ controller }) => controller === true);
}

/** The newest warning about an object with one of these reasons; with any reason when none is given. */
export function newestWarning(
  events: readonly Event[],
  object: KubeObject,
  ...reasons: string[]
): Event | undefined {
  let newest: Event | undefined;
  for (const event of events) {
    if (event.type !== 'Warning' || event.involvedObject?.uid !== object.metadata.uid) continue;
    if (reasons.length > 0 && !reasons.includes(event.reason ?? '')) continue;
    if (!newest || timeOf(event) >= timeOf(newest)) newest = event;
  }
  return newest;
}

function timeOf({ series, eventTime, lastTimestamp, metadata }: Event): number {
  const time = series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '';
  return Date.parse(time) || 0;
}

/** Whether a pod carries every label of a simple selector; an empty selector selects nothing here. */
export function isSelected(pod: Pod, service: Service): boolean {
  const selector = Object.entries(service.spec?.selector ?? {});
  return (
    selector.length > 0 &&
    pod.metadata.namespace === service.metadata.namespace &&
    selector.every(([key, value]) => pod.metadata.labels?.[key] === value)
  );
}
