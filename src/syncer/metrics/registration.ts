// Makes the virtual API server serve metrics.k8s.io from the syncer, for as long as the host has metrics to tell. A registered
// API that nobody answers for would break discovery, and the deletion of every namespace inside.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import { type KubeObject, type ResourceType, SERVICES } from '../../kube/resource.ts';
import type { Clock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Service } from '../objects.ts';
import { METRICS_GROUP, METRICS_VERSION, type UsageReader } from './usage.ts';

/** What the API server dials instead of a cluster IP; the egress gate knows the name. */
export const METRICS_HOST = 'metrics.syncer.mayfly.internal';
const API_SERVICES: ResourceType = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  plural: 'apiservices',
  kind: 'APIService',
  namespaced: false,
};
const SERVICE = { namespace: 'kube-system', name: 'mayfly-metrics' };
const NAME = `${METRICS_VERSION}.${METRICS_GROUP}`;
const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'mayfly-syncer' };
const CHECK_INTERVAL_MS = 60_000;

interface ApiService extends KubeObject {
  spec: object;
}

export interface MetricsRegistrationDeps {
  /** Of the virtual API. */
  client: Pick<KubeClient, 'get' | 'create' | 'delete'>;
  usage: Pick<UsageReader, 'isAvailable'>;
  clock: Clock;
  logger: Logger;
}

export interface MetricsRegistration {
  /** Runs until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createMetricsRegistration(deps: MetricsRegistrationDeps): MetricsRegistration {
  const { client, usage, clock, logger } = deps;

  const service: Service = {
    metadata: { ...SERVICE, labels: MANAGED_BY },
    spec: { type: 'ExternalName', externalName: METRICS_HOST, ports: [{ port: 443 }] },
  };
  const apiService: ApiService = {
    metadata: { name: NAME, labels: MANAGED_BY },
    spec: {
      group: METRICS_GROUP,
      version: METRICS_VERSION,
      service: { ...SERVICE, port: 443 },
      // The stream goes through the egress gate, in this pod, to the syncer and nowhere else.
      insecureSkipTLSVerify: true,
      groupPriorityMinimum: 100,
      versionPriority: 100,
    },
  };

  /** An API of that name which is there already is the tenant's own, or ours. */
  async function register(signal: AbortSignal): Promise<void> {
    for (const [type, object] of [
      [SERVICES, service],
      [API_SERVICES, apiService],
    ] as const) {
      await client.create<KubeObject>(type, object, { signal }).catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      });
    }
  }

  async function withdraw(signal: AbortSignal): Promise<void> {
    try {
      const { metadata } = await client.get<ApiService>(API_SERVICES, { name: NAME }, { signal });
      const isOurs =
        metadata.labels?.['app.kubernetes.io/managed-by'] === MANAGED_BY['app.kubernetes.io/managed-by'];
      if (!isOurs) return;
      await client.delete(API_SERVICES, { name: NAME }, { signal, preconditions: { uid: metadata.uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  return {
    async run(signal) {
      let registered: boolean | undefined;
      while (!signal.aborted) {
        try {
          const isAvailable = await usage.isAvailable(signal);
          if (isAvailable !== registered) await (isAvailable ? register(signal) : withdraw(signal));
          registered = isAvailable;
        } catch (error) {
          if (!signal.aborted) logger.info({ reason: errorMessage(error) }, 'metrics are not registered yet');
        }
        await clock.sleep(CHECK_INTERVAL_MS, signal).catch(() => {});
      }
    },
  };
}
