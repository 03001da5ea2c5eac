// What an environment's cluster may hold when it is asked how the app fares.
import type {
  ClusterObjects,
  ContainerStatus,
  Deployment,
  EndpointSlice,
  Event,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  Service,
  StatefulSet,
  StorageClass,
} from '../../src/environments/diagnosis/objects.ts';
import type { KubeObject } from '../../src/kube/resource.ts';

const NAMESPACE = 'default';

export const nothing: ClusterObjects = {
  deployments: [],
  replicaSets: [],
  statefulSets: [],
  daemonSets: [],
  jobs: [],
  pods: [],
  events: [],
  services: [],
  endpointSlices: [],
  persistentVolumeClaims: [],
  storageClasses: [],
};

export function metadata(kind: string, name: string, owner?: KubeObject) {
  return {
    name,
    namespace: NAMESPACE,
    uid: `${kind}-${name}`,
    generation: 1,
    ownerReferences: owner && [
      {
        apiVersion: 'v1',
        kind: 'Owner',
        name: owner.metadata.name ?? '',
        uid: owner.metadata.uid ?? '',
        controller: true,
      },
    ],
  };
}

export function deployment(name: string, status: Deployment['status'] = {}): Deployment {
  return {
    metadata: metadata('Deployment', name),
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: {},
    },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, ...status },
  };
}

export function replicaSet(owner: Deployment, revision: number): ReplicaSet {
  const { annotations = {}, ...rest } = {
    ...metadata('ReplicaSet', `${owner.metadata.name}-${revision}`, owner),
  } as ReplicaSet['metadata'];
  return {
    metadata: {
      ...rest,
      annotations: { ...annotations, 'deployment.kubernetes.io/revision': String(revision) },
    },
  };
}

export function statefulSet(name: string, status: Partial<StatefulSet['status']> = {}): StatefulSet {
  return {
    metadata: metadata('StatefulSet', name),
    spec: { replicas: 1, selector: {}, template: {}, serviceName: name },
    status: { replicas: 1, observedGeneration: 1, updatedReplicas: 1, ...status },
  };
}

export function pod(
  name: string,
  owner?: KubeObject,
  {
    status,
    spec,
    labels,
  }: { status?: Pod['status']; spec?: Partial<Pod['spec']>; labels?: Record<string, string> } = {},
): Pod {
  return {
    metadata: { ...metadata('Pod', name, owner), labels },
    spec: { containers: [{ name: 'app', image: 'shop:1' }], ...spec },
    status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'True' }], ...status },
  };
}

export function container(status: Partial<ContainerStatus>): ContainerStatus {
  return { name: 'app', image: 'shop:1', imageID: '', ready: false, restartCount: 0, ...status };
}

export function crashing(restartCount: number, exitCode = 1): Pod['status'] {
  return {
    containerStatuses: [
      container({
        restartCount,
        state: {
          waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s restarting failed container' },
        },
        lastState: { terminated: { exitCode, reason: 'Error' } },
      }),
    ],
  };
}

export function warning(
  object: KubeObject,
  reason: string,
  message: string,
  lastTimestamp = '2026-01-01T00:00:00Z',
): Event {
  return {
    metadata: { name: `${object.metadata.name}.${reason}` },
    involvedObject: { uid: object.metadata.uid },
    type: 'Warning',
    reason,
    message,
    lastTimestamp,
  };
}

export function claim(name: string, storageClassName?: string): PersistentVolumeClaim {
  return {
    metadata: metadata('PersistentVolumeClaim', name),
    spec: { storageClassName },
    status: { phase: 'Pending' },
  };
}

export function storageClass(name: string, isDefault = false): StorageClass {
  const annotations = { 'storageclass.kubernetes.io/is-default-class': String(isDefault) };
  return { metadata: { name, annotations }, provisioner: 'rancher.io/local-path' };
}

export function service(name: string): Service {
  return { metadata: metadata('Service', name), spec: { selector: { app: name } } };
}

export function slice(name: string, ready: boolean): EndpointSlice {
  return {
    metadata: { ...metadata('EndpointSlice', name), labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready } }],
  };
}

/** A Deployment `web` whose newest pod has this status. */
export function webWith(
  status: Pod['status'],
  more: { events?: (pod: Pod) => Event[]; spec?: Partial<Pod['spec']> } = {},
): ClusterObjects {
  const web = deployment('web');
  const newest = replicaSet(web, 2);
  const webPod = pod('web-7c9', newest, { status, spec: more.spec, labels: { app: 'web' } });
  return {
    ...nothing,
    deployments: [web],
    replicaSets: [newest],
    pods: [webPod],
    events: more.events?.(webPod) ?? [],
  };
}
