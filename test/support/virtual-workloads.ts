// A virtual cluster for one file of tests about pods, and what such tests do all the time: make a pod, wait, look at both sides.
import { isNotFound } from '../../src/kube/errors.ts';
import { EVENTS, type KubeObject, PODS, type ResourceType } from '../../src/kube/resource.ts';
import { ANNOTATION_NAME } from '../../src/syncer/names.ts';
import type { Container, Event, Pod, PodSpec } from '../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from './cluster.ts';
import { eventually } from './eventually.ts';
import { createTestNamespace } from './host-cluster.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from './virtual-cluster.ts';

export const BUSYBOX = 'docker.io/library/busybox:1.35.0';
const REQUEST_TIMEOUT_MS = 30_000;
const WAIT_MS = 60_000;

export interface VirtualWorkloads {
  host: ClusterAccess;
  hostNamespace: string;
  cluster: InstalledVirtualCluster;
  /** In the namespace `default` inside. */
  create(pod: Pod): Promise<Pod>;
  find<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined>;
  /** The host copy of an object of that name. */
  onHost<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined>;
  /** Waits until the pod inside is as `holds` says. */
  podWhere(name: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod>;
  running(name: string): Promise<Pod>;
  gone(type: ResourceType, name: string): Promise<void>;
  /** What a command in the pod prints. */
  output(name: string, ...command: string[]): Promise<string>;
  /** Waits for a Warning event on the object, and gives all there are. */
  warnings(name: string): Promise<Event[]>;
  remove(): Promise<void>;
}

export const call = () => ({ signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });

/** In the namespace `default`. */
export const named = (name: string) => ({ namespace: 'default', name });

/** A pod whose one container runs `script` and then waits for its end. */
export function podRunning(
  name: string,
  script = 'true',
  { container, ...spec }: Partial<PodSpec> & { container?: Partial<Container> } = {},
): Pod {
  const app: Container = {
    name: 'app',
    image: BUSYBOX,
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-c', `trap 'exit 0' TERM; ${script}; sleep 3600 & wait`],
    ...container,
  };
  return {
    metadata: { ...named(name), labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 1, containers: [app], ...spec },
  };
}

export async function createVirtualWorkloads(
  purpose: string,
  values: Record<string, string> = {},
): Promise<VirtualWorkloads> {
  const place = await createTestNamespace(purpose);
  const { namespace: hostNamespace } = place;
  const host = await clusterAccess();
  const cluster = await installVirtualCluster({ host, namespace: hostNamespace, name: purpose, values });
  const { client } = cluster.inside;
  const within = (what: string) => ({ what, timeoutMs: WAIT_MS });

  async function find<T extends KubeObject>(type: ResourceType, name: string): Promise<T | undefined> {
    try {
      return await client.get<T>(type, named(name), call());
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  function podWhere(name: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod> {
    return eventually(
      async () => {
        const pod = await find<Pod>(PODS, name);
        if (pod && holds(pod)) return pod;
        throw new Error(`it is ${JSON.stringify(pod?.status)}`);
      },
      within(`the pod ${name} ${what}`),
    );
  }

  return {
    host,
    hostNamespace,
    cluster,
    create: (pod) => client.create(PODS, pod, call()),
    find,
    async onHost<T extends KubeObject>(type: ResourceType, name: string) {
      const labelSelector = `mayfly.dev/cluster=${purpose}`;
      const { items } = await host.client.list<T>(type, {
        namespace: hostNamespace,
        labelSelector,
        ...call(),
      });
      return items.find(({ metadata }) => metadata.annotations?.[ANNOTATION_NAME] === name);
    },
    podWhere,
    running: (name) => podWhere(name, 'runs', ({ status }) => status?.phase === 'Running'),
    async gone(type, name) {
      await eventually(
        async () => ((await find(type, name)) ? undefined : true),
        within(`${type.kind} ${name} is gone`),
      );
    },
    output: async (name, ...command) =>
      (await cluster.inside.kubectl(['exec', name, '--', ...command])).trim(),
    warnings: (name) =>
      eventually(
        async () => {
          const { items } = await client.list<Event>(EVENTS, { namespace: 'default', ...call() });
          const found = items.filter(
            ({ involvedObject, type }) => involvedObject.name === name && type === 'Warning',
          );
          return found.length > 0 ? found : undefined;
        },
        within(`${name} is warned`),
      ),
    async remove() {
      await cluster.uninstall();
      await host.client.close();
      await place.remove();
    },
  };
}
