// What the host's API server was asked, by its own counters. All of its clients count: measure on a host with nothing else to do.
import type { ClusterAccess } from '../../support/cluster.ts';

export interface HostRequests {
  total: number;
  /** Answered with 429. */
  refused: number;
}

export async function hostRequests({ client }: ClusterAccess): Promise<HostRequests> {
  const metrics = await client.text('/metrics', { signal: AbortSignal.timeout(60_000) });
  const counts: HostRequests = { total: 0, refused: 0 };
  for (const [, labels = '', value = '0'] of metrics.matchAll(
    /^apiserver_request_total\{([^}]*)\} (\S+)$/gm,
  )) {
    counts.total += Number(value);
    if (labels.includes('code="429"')) counts.refused += Number(value);
  }
  return counts;
}
