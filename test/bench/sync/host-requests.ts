// What the host's API server was asked, by its own counters. All of its clients count: measure on a host with nothing else to do.
import type { ClusterAccess } from '../../support/cluster.ts';
import { figure } from '../../support/figures.ts';

export interface HostRequests {
  total: number;
  /** Answered with 429. */
  refused: number;
}

export async function hostRequests({ client }: ClusterAccess): Promise<HostRequests> {
  const metrics = await client.text('/metrics', { signal: AbortSignal.timeout(60_000) });
  const count = (labels: Record<string, string>) => figure(metrics, 'apiserver_request_total', labels);
  return { total: count({}), refused: count({ code: '429' }) };
}
