// The kubelet's pages about usage, of this cluster's pods on a node: `/stats/summary` and `/metrics/resource`. The host's metrics
// API tells rates of CPU and no counters, so the counters of a kubelet are not on them.

import { type ContainerUsage, type PodUsage, totalOf } from '../metrics/usage.ts';
import type { Pod } from '../objects.ts';

const stats = (time: string, containers: readonly ContainerUsage[]) => {
  const { cores, bytes } = totalOf(containers);
  return {
    cpu: { time, usageNanoCores: Math.round(cores * 1e9) },
    memory: { time, workingSetBytes: Math.round(bytes) },
  };
};

const startOf = ({ status }: Pod, container: string) =>
  status?.containerStatuses?.find(({ name }) => name === container)?.state?.running?.startedAt;

export function statsSummary(nodeName: string, usage: readonly PodUsage[]): object {
  const newest = usage
    .map(({ timestamp }) => timestamp)
    .toSorted()
    .at(-1);
  return {
    node: {
      nodeName,
      ...(newest
        ? stats(
            newest,
            usage.flatMap(({ containers }) => [...containers]),
          )
        : {}),
    },
    pods: usage.map(({ pod, timestamp, containers }) => ({
      podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
      startTime: pod.status?.startTime,
      containers: containers.map((container) => ({
        name: container.name,
        startTime: startOf(pod, container.name),
        ...stats(timestamp, [container]),
      })),
      ...stats(timestamp, containers),
    })),
  };
}

/** In the text format of Prometheus. Names inside are DNS labels and subdomains: nothing in them needs escaping. */
export function resourceMetrics(usage: readonly PodUsage[]): string {
  const ofContainers: string[] = [];
  const ofPods: string[] = [];
  for (const { pod, timestamp, containers } of usage) {
    const place = `namespace="${pod.metadata.namespace}",pod="${pod.metadata.name}"`;
    const timeMs = Date.parse(timestamp);
    for (const container of containers) {
      const { bytes } = totalOf([container]);
      ofContainers.push(`{container="${container.name}",${place}} ${Math.round(bytes)} ${timeMs}`);
    }
    ofPods.push(`{${place}} ${Math.round(totalOf(containers).bytes)} ${timeMs}`);
  }
  return [
    ...gauge(
      'container_memory_working_set_bytes',
      'Current working set of the container in bytes',
      ofContainers,
    ),
    ...gauge('pod_memory_working_set_bytes', 'Current working set of the pod in bytes', ofPods),
    ...gauge(
      'resource_scrape_error',
      '1 if there was an error while getting container metrics, 0 otherwise',
      [' 0'],
    ),
    '',
  ].join('\n');
}

function gauge(name: string, help: string, samples: readonly string[]): string[] {
  if (samples.length === 0) return [];
  return [
    `# HELP ${name} [STABLE] ${help}`,
    `# TYPE ${name} gauge`,
    ...samples.map((sample) => name + sample),
  ];
}
