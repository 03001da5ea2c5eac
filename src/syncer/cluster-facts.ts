// Facts about a virtual cluster that its syncer reads from the host once, at its start.
import type { KubeClient } from '../kube/client.ts';
import { isForbidden, isNotFound, isRetryable, KubeError } from '../kube/errors.ts';
import { CONFIG_MAPS, NODES, SERVICES } from '../kube/resource.ts';
import { retry } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { UnavailableError } from '../lib/errors.ts';
import type { ClusterFacts, IsolationProfile, NetworkFacts, SyncOptions } from './kind.ts';
import type { ConfigMap, Service } from './objects.ts';

const DOMAIN = 'cluster.local';
const API_PORT = 443;
const RETRY = { backoff: { baseMs: 100, maxMs: 2_000 }, attempts: 30 };

export interface FactsOptions {
  host: Pick<KubeClient, 'get' | 'list'>;
  cluster: string;
  hostNamespace: string;
  profile: IsolationProfile;
  network: NetworkFacts;
  sync: SyncOptions;
  hostsImage?: string;
  defaultLimits?: Readonly<Record<string, string>>;
  clock: Clock;
}

/**
 * Waits for the chart's objects, which Helm may still be making.
 * @throws the last error when they cannot be read for about a minute.
 */
export async function readClusterFacts(options: FactsOptions, signal: AbortSignal): Promise<ClusterFacts> {
  const { host, cluster, hostNamespace, profile, network, sync, clock } = options;
  const named = (name: string) => ({ namespace: hostNamespace, name });

  async function clusterIp(name: string): Promise<string> {
    const { spec } = await host.get<Service>(SERVICES, named(name), { signal });
    if (spec?.clusterIP) return spec.clusterIP;
    throw new UnavailableError({ code: 'NoClusterIp', message: `the Service ${name} has no cluster IP` });
  }

  async function read(): Promise<ClusterFacts> {
    const [anchor, api, dns] = await Promise.all([
      host.get<ConfigMap>(CONFIG_MAPS, named(`${cluster}-anchor`), { signal }),
      clusterIp(cluster),
      clusterIp(`${cluster}-dns`),
    ]);
    const { name = '', uid = '' } = anchor.metadata;
    return {
      cluster,
      hostNamespace,
      profile,
      hostsImage: options.hostsImage,
      defaultLimits: options.defaultLimits,
      owner: { apiVersion: 'v1', kind: 'ConfigMap', name, uid, blockOwnerDeletion: false },
      api: { clusterIp: api, port: API_PORT },
      dns: { clusterIp: dns, domain: DOMAIN },
      workloadServiceAccount: `${cluster}-workload`,
      network,
      sync,
    };
  }

  return retry(read, { ...RETRY, isRetryable: mayPass, signal, clock });
}

/** Whether the syncer may read cluster-scoped objects of the host, nodes for one: a right that the chart gives by value. */
export async function mayReadHostWide(
  { host, clock }: Pick<FactsOptions, 'host' | 'clock'>,
  signal: AbortSignal,
): Promise<boolean> {
  async function tryOnce(): Promise<boolean> {
    try {
      await host.list(NODES, { limit: 1, signal });
      return true;
    } catch (error) {
      if (isForbidden(error)) return false;
      throw error;
    }
  }
  return retry(tryOnce, { ...RETRY, isRetryable: mayPass, signal, clock });
}

/** What a chart that is only being installed leads to: objects and rights that are not there yet, and a token nobody knows. */
function mayPass(error: unknown): boolean {
  const isUnknown = error instanceof KubeError && error.status === 401;
  return isUnknown || isNotFound(error) || isForbidden(error) || isRetryable(error);
}
