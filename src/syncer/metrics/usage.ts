// What the pods of this cluster use, as the host's metrics API tells it of our host namespace. It is the narrowest source: the
// kubelets' own pages show all tenants of a node, and the right to them through the API (`nodes/proxy`) is one to run commands.
import type { KubeClient } from '../../kube/client.ts';
import { isForbidden, isNotFound } from '../../kube/errors.ts';
import { type KubeObject, objectKey, type ResourceType } from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import { UnavailableError } from '../../lib/errors.ts';
import type { ClusterFacts } from '../kind.ts';
import { allContainers } from '../kinds/pods/references.ts';
import { ANNOTATION_UID, LABEL_CLUSTER, virtualKeyOf } from '../names.ts';
import type { Pod } from '../objects.ts';
import { quantityOf } from '../quantity.ts';

export const METRICS_GROUP = 'metrics.k8s.io';
export const METRICS_VERSION = 'v1beta1';
const POD_METRICS: ResourceType = {
  group: METRICS_GROUP,
  version: METRICS_VERSION,
  plural: 'pods',
  kind: 'PodMetrics',
  namespaced: true,
};

export interface ContainerUsage {
  name: string;
  /** Quantities of `cpu` (a rate) and `memory` (the working set). */
  usage: Record<string, string>;
}

interface PodMetrics extends KubeObject {
  timestamp: string;
  window: string;
  containers?: ContainerUsage[];
}

/** A virtual pod and what its containers used in the `window` before `timestamp`. */
export interface PodUsage {
  pod: Pod;
  timestamp: string;
  window: string;
  containers: readonly ContainerUsage[];
}

export interface UsageReader {
  /** @throws UnavailableError when the host has no metrics API, or does not let the syncer read it. */
  read(signal: AbortSignal): Promise<readonly PodUsage[]>;
  isAvailable(signal: AbortSignal): Promise<boolean>;
}

export interface UsageReaderDeps {
  host: Pick<KubeClient, 'list'>;
  facts: Pick<ClusterFacts, 'cluster' | 'hostNamespace'>;
  stores: { virtual: { pods: Pick<ReadStore<Pod>, 'get'> }; host: { pods: Pick<ReadStore<Pod>, 'get'> } };
}

const TIMEOUT_MS = 10_000;

export function createUsageReader({ host, facts, stores }: UsageReaderDeps): UsageReader {
  const place = { namespace: facts.hostNamespace, labelSelector: `${LABEL_CLUSTER}=${facts.cluster}` };

  /** The virtual pod that a sample of the host is about. */
  function podOf({ metadata: { name = '' } }: PodMetrics): Pod | undefined {
    const copy = stores.host.pods.get(objectKey({ namespace: facts.hostNamespace, name }));
    const key = copy && virtualKeyOf(copy.metadata);
    const pod = key === undefined ? undefined : stores.virtual.pods.get(key);
    return pod && copy?.metadata.annotations?.[ANNOTATION_UID] === pod.metadata.uid ? pod : undefined;
  }

  return {
    async read(signal) {
      try {
        const { items } = await host.list<PodMetrics>(POD_METRICS, {
          ...place,
          signal,
          timeoutMs: TIMEOUT_MS,
        });
        return items.flatMap((item) => {
          const pod = podOf(item);
          if (!pod) return [];
          const inside = new Set(allContainers(pod.spec).map(({ name }) => name));
          const containers = (item.containers ?? []).filter(({ name }) => inside.has(name));
          return [{ pod, timestamp: item.timestamp, window: item.window, containers }];
        });
      } catch (cause) {
        if (!isNotFound(cause) && !isForbidden(cause)) throw cause;
        throw new UnavailableError({
          code: 'NoHostMetrics',
          message: 'the host has no metrics for virtual clusters',
          cause,
        });
      }
    },

    async isAvailable(signal) {
      try {
        await host.list(POD_METRICS, { ...place, limit: 1, signal, timeoutMs: TIMEOUT_MS });
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Usage of several containers or pods together, in cores and bytes. */
export function totalOf(containers: readonly ContainerUsage[]): { cores: number; bytes: number } {
  return {
    cores: containers.reduce((sum, { usage }) => sum + quantityOf(usage.cpu), 0),
    bytes: containers.reduce((sum, { usage }) => sum + quantityOf(usage.memory), 0),
  };
}
