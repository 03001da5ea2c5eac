// The two Services every cluster is born with, at the cluster IPs of the chart's own host Services. kube-apiserver makes
// `default/kubernetes` by itself with the first address of the range, which on the host is the host's API; afterwards it
// leaves an existing one as it is (kubernetes/pkg/controlplane/controller/kubernetesservice), and keeps its endpoints.
import { isIPv6 } from 'node:net';
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound, isRetryable } from '../../kube/errors.ts';
import { ENDPOINT_SLICES, keyOf, type ObjectName, SERVICES } from '../../kube/resource.ts';
import { retry } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { ConflictError } from '../../lib/errors.ts';
import { FIELD_MANAGER } from '../names.ts';
import type { EndpointSlice, Service } from '../objects.ts';

export interface BootstrapDeps {
  /** Of the virtual API. */
  client: Pick<KubeClient, 'get' | 'create' | 'delete' | 'apply'>;
  api: { clusterIp: string; port: number; targetPort: number };
  dns: { clusterIp: string };
  /** Where the syncer's DNS server answers: its own pod. */
  podIp: string;
  clock?: Clock;
}

const DNS_PORT = 53;
const BACKOFF = { baseMs: 100, maxMs: 2000 };
/** Over a minute and a half: namespaces and the API itself may still be coming up. */
const ATTEMPTS = 60;

/** Resolves when both hold their addresses. @throws the last error when they cannot be made to. */
export async function bootstrapServices(deps: BootstrapDeps, signal: AbortSignal): Promise<void> {
  await Promise.all([
    ensure(apiService(deps), deps, signal),
    ensure(dnsService(deps), deps, signal).then(() => applySlice(deps, signal)),
  ]);
}

async function ensure(
  desired: Service,
  { client, clock }: BootstrapDeps,
  signal: AbortSignal,
): Promise<void> {
  const name = nameOf(desired);
  await retry(
    async () => {
      const current = await client.get<Service>(SERVICES, name, { signal }).catch((error) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (current?.spec?.clusterIP === desired.spec?.clusterIP) return;
      // A cluster IP can only be chosen at creation.
      if (current)
        await client.delete(SERVICES, name, { preconditions: { uid: current.metadata.uid }, signal });
      const created = await client.create<Service>(SERVICES, desired, { signal });
      if (created.spec?.clusterIP !== desired.spec?.clusterIP) {
        throw new ConflictError({
          code: 'WrongClusterIp',
          message: `${keyOf(desired)} got another cluster IP`,
        });
      }
    },
    { backoff: BACKOFF, attempts: ATTEMPTS, isRetryable: mayPass, signal, ...(clock && { clock }) },
  );
}

/** `NotFound`: of the namespace, or of the Service that somebody else just deleted. */
function mayPass(error: unknown): boolean {
  return isRetryable(error) || isNotFound(error) || isConflict(error) || isAlreadyExists(error);
}

/** The pod's address is another one after every restart. */
async function applySlice({ client, podIp, clock }: BootstrapDeps, signal: AbortSignal): Promise<void> {
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'kube-system',
      name: 'kube-dns-syncer',
      labels: {
        'kubernetes.io/service-name': 'kube-dns',
        'endpointslice.kubernetes.io/managed-by': 'syncer.mayfly.dev',
      },
    },
    addressType: isIPv6(podIp) ? 'IPv6' : 'IPv4',
    endpoints: [{ addresses: [podIp], conditions: { ready: true } }],
    ports: [
      { name: 'dns', port: DNS_PORT, protocol: 'UDP' },
      { name: 'dns-tcp', port: DNS_PORT, protocol: 'TCP' },
    ],
  };
  await retry(
    () => client.apply(ENDPOINT_SLICES, slice, { fieldManager: FIELD_MANAGER, force: true, signal }),
    { backoff: BACKOFF, attempts: ATTEMPTS, isRetryable: mayPass, signal, ...(clock && { clock }) },
  );
}

function apiService({ api }: BootstrapDeps): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'default',
      name: 'kubernetes',
      labels: { provider: 'kubernetes', component: 'apiserver' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: api.clusterIp,
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'https', port: api.port, protocol: 'TCP', targetPort: api.targetPort }],
    },
  };
}

function dnsService({ dns }: BootstrapDeps): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'kube-system',
      name: 'kube-dns',
      labels: {
        'k8s-app': 'kube-dns',
        'kubernetes.io/cluster-service': 'true',
        'kubernetes.io/name': 'CoreDNS',
      },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: dns.clusterIp,
      ipFamilyPolicy: 'SingleStack',
      ports: [
        { name: 'dns', port: DNS_PORT, protocol: 'UDP', targetPort: DNS_PORT },
        { name: 'dns-tcp', port: DNS_PORT, protocol: 'TCP', targetPort: DNS_PORT },
      ],
    },
  };
}

function nameOf({ metadata: { namespace, name = '' } }: Service): ObjectName {
  return { namespace, name };
}
