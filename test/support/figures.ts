// Figures in Prometheus' text format, as tests and benchmarks read them.
import type { ClusterAccess } from './cluster.ts';

const STATUS_PORT = 8081;
const TIMEOUT_MS = 30_000;

/** What the syncer of a virtual cluster tells of itself. */
export function syncerFigures(
  { client }: ClusterAccess,
  { namespace, name }: { namespace: string; name: string },
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}-0:${STATUS_PORT}/proxy/metrics`;
  return client.text(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
}

/** The sum of a metric's samples whose labels are as asked for. */
export function figure(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  let sum = 0;
  for (const [, metric, found = '', value] of text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    const has = new Set(found.match(/\w+="(?:[^"\\]|\\.)*"/g));
    if (metric === name && wanted.every((label) => has.has(label))) sum += Number(value);
  }
  return sum;
}
