// A virtual cluster in a host namespace of its own, and what tests of synced kinds ask about both sides.
import { isNotFound } from '../../src/kube/errors.ts';
import {
  EVENTS,
  type KubeObject,
  type ObjectName,
  PODS,
  type ResourceType,
} from '../../src/kube/resource.ts';
import { ANNOTATION_NAME } from '../../src/syncer/names.ts';
import type { ContainerStatus, Event, Pod, PodSpec } from '../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from './cluster.ts';
import { eventually } from './eventually.ts';
import { createTestNamespace } from './host-cluster.ts';
import { installVirtualCluster } from './virtual-cluster.ts';

const CALL_TIMEOUT_MS = 30_000;
const WAIT_TIMEOUT_MS = 60_000;

export interface SyncedCluster {
  host: ClusterAccess;
  hostNamespace: string;
  inside: ClusterAccess;
  /** The pod of the control plane. */
  controlPlane(): Promise<Pod>;
  /** Reads an object inside; undefined when there is none. */
  find<T extends KubeObject>(type: ResourceType, name: ObjectName): Promise<T | undefined>;
  /** The host copy of the object of this name. */
  copyOf<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined>;
  /** Waits for a host copy that `accept` takes. */
  copied<T extends KubeObject>(type: ResourceType, name: string, accept?: (copy: T) => boolean): Promise<T>;
  goneOnHost(type: ResourceType, name: string): Promise<void>;
  /** Waits for a Warning event about the object of this name. */
  warned(name: string, reason: string): Promise<Event>;
  remove(): Promise<void>;
}

export function call(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) };
}

export function within(what: string): { what: string; timeoutMs: number } {
  return { what, timeoutMs: WAIT_TIMEOUT_MS };
}

/** @param kubeconfig of another host than the one that tests share. */
export async function startSyncedCluster(
  name: string,
  values: Record<string, string> = {},
  kubeconfig?: string,
): Promise<SyncedCluster> {
  const place = await createTestNamespace(name, kubeconfig);
  const host = await clusterAccess(kubeconfig);
  const cluster = await installVirtualCluster({ host, namespace: place.namespace, name, values });
  const { inside } = cluster;

  async function copyOf<T extends KubeObject>(type: ResourceType, ofName: string): Promise<T | undefined> {
    const labelSelector = `mayfly.dev/cluster=${name}`;
    const { items } = await host.client.list<T>(type, {
      namespace: place.namespace,
      labelSelector,
      ...call(),
    });
    return items.find(({ metadata }) => metadata.annotations?.[ANNOTATION_NAME] === ofName);
  }

  return {
    host,
    hostNamespace: place.namespace,
    inside,
    controlPlane: () => host.client.get<Pod>(PODS, { namespace: place.namespace, name: `${name}-0` }, call()),
    copyOf,
    async find<T extends KubeObject>(type: ResourceType, ofName: ObjectName) {
      try {
        return await inside.client.get<T>(type, ofName, call());
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    copied: <T extends KubeObject>(
      type: ResourceType,
      ofName: string,
      accept: (copy: T) => boolean = () => true,
    ) =>
      eventually(
        async () => {
          const copy = await copyOf<T>(type, ofName);
          return copy && accept(copy) ? copy : undefined;
        },
        within(`the host has ${type.kind} ${ofName} as it should be`),
      ),
    async goneOnHost(type, ofName) {
      await eventually(
        async () => ((await copyOf(type, ofName)) ? undefined : true),
        within(`the host has no ${type.kind} ${ofName}`),
      );
    },
    warned: (ofName, reason) =>
      eventually(
        async () => {
          const { items } = await inside.client.list<Event>(EVENTS, call());
          return items.find((event) => event.involvedObject.name === ofName && event.reason === reason);
        },
        within(`${ofName} is told of ${reason}`),
      ),
    async remove() {
      await cluster.uninstall();
      await host.client.close();
      await place.remove();
    },
  };
}

/** @throws Error while its kubelet has not told of it. */
export function containerStatus({ status }: Pod, container: string): ContainerStatus {
  const found = status?.containerStatuses?.find(({ name }) => name === container);
  if (!found) throw new Error(`there is no status of ${container} yet`);
  return found;
}

/** A pod of busybox that runs until it is told to end. */
export function sleeper(name: ObjectName, spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { ...name, labels: { app: name.name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'app',
          image: 'docker.io/library/busybox:1.35.0',
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', "trap 'exit 0' TERM; sleep 3600 & wait"],
        },
      ],
      ...spec,
    },
  };
}
