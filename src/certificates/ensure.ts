// Before a control plane starts and while it runs: the Secrets with certificates and kubeconfig exist, fit for use, on the host.
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound, isRetryable } from '../kube/errors.ts';
import {
  CONFIG_MAPS,
  type KubeObject,
  type OwnerReference,
  type ResourceType,
  SECRETS,
  SERVICES,
} from '../kube/resource.ts';
import { retry } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { ForbiddenError, UnavailableError } from '../lib/errors.ts';
import { type CertificateFiles, renewCertificates } from './certificates.ts';
import {
  adminKubeconfig,
  certificatesSecretName,
  clusterServer,
  createSecret,
  KUBECONFIG_KEY,
  kubeconfigSecretName,
  type Secret,
  secretFiles,
} from './secrets.ts';

export interface EnsureCertificatesOptions {
  client: KubeClient;
  clock: Clock;
  /** Name of the virtual cluster; its Service and anchor exist on the host. */
  cluster: string;
  namespace: string;
  /** More DNS names and IP addresses that the API server answers to. */
  extraNames: readonly string[];
  /** Life of the leaf certificates, the administrator's among them. */
  lifetimeMs: number;
  signal: AbortSignal;
}

/** Two starts of the same cluster may race; whoever comes second takes what is there. In all about ten seconds. */
const RETRY = { backoff: { baseMs: 50, maxMs: 2000 }, attempts: 12 };

/**
 * Makes the certificates when the Secret `<cluster>-certificates` is absent, renews what nears its end when it is there, and keeps
 * the Secret `<cluster>-kubeconfig` in step. Both are owned by the chart's anchor.
 * @returns what the Secret holds now.
 * @throws ForbiddenError `ForeignSecret` when a Secret of that name belongs to somebody else.
 */
export function ensureCertificates(options: EnsureCertificatesOptions): Promise<CertificateFiles> {
  return retry(() => ensureOnce(options), {
    ...RETRY,
    signal: options.signal,
    clock: options.clock,
    isRetryable: (error) =>
      isConflict(error) || isAlreadyExists(error) || isNotFound(error) || isRetryable(error),
  });
}

async function ensureOnce(options: EnsureCertificatesOptions): Promise<CertificateFiles> {
  const { cluster, namespace, extraNames, lifetimeMs, clock } = options;
  const [owner, serviceIps, existing] = await Promise.all([
    readAnchor(options),
    readServiceIps(options),
    find<Secret>(SECRETS, certificatesSecretName(cluster), options),
  ]);
  const files = await renewCertificates(existing ? secretFiles(existing) : {}, {
    cluster,
    namespace,
    serviceIps,
    extraNames,
    now: new Date(clock.nowMs()),
    lifetimeMs,
  });
  await store(existing, certificatesSecretName(cluster), files, owner, options);
  const kubeconfig = adminKubeconfig(files, { name: cluster, server: clusterServer(options) });
  const kubeconfigName = kubeconfigSecretName(cluster);
  const existingKubeconfig = await find<Secret>(SECRETS, kubeconfigName, options);
  await store(existingKubeconfig, kubeconfigName, { [KUBECONFIG_KEY]: kubeconfig }, owner, options);
  return files;
}

async function readAnchor({
  client,
  cluster,
  namespace,
  signal,
}: EnsureCertificatesOptions): Promise<OwnerReference> {
  const name = `${cluster}-anchor`;
  const anchor = await client.get<KubeObject>(CONFIG_MAPS, { namespace, name }, { signal });
  const { uid } = anchor.metadata;
  if (uid === undefined) throw unavailable(`the config map ${name} has no uid`);
  return { apiVersion: 'v1', kind: 'ConfigMap', name, uid, blockOwnerDeletion: false };
}

async function readServiceIps({
  client,
  cluster,
  namespace,
  signal,
}: EnsureCertificatesOptions): Promise<string[]> {
  type Service = KubeObject & { spec?: { clusterIPs?: string[] } };
  const service = await client.get<Service>(SERVICES, { namespace, name: cluster }, { signal });
  const addresses = service.spec?.clusterIPs ?? [];
  if (addresses.length === 0) throw unavailable(`the service ${cluster} has no cluster IP`);
  return addresses;
}

async function find<T extends KubeObject>(
  type: ResourceType,
  name: string,
  { client, namespace, signal }: EnsureCertificatesOptions,
): Promise<T | undefined> {
  try {
    return await client.get<T>(type, { namespace, name }, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function store(
  existing: Secret | undefined,
  name: string,
  files: CertificateFiles,
  owner: OwnerReference,
  { client, cluster, namespace, signal }: EnsureCertificatesOptions,
): Promise<void> {
  const desired = createSecret({ cluster, namespace, name, owner }, files);
  if (existing === undefined) {
    await client.create(SECRETS, desired, { signal });
    return;
  }
  const owners = existing.metadata.ownerReferences ?? [];
  if (!owners.some(({ uid }) => uid === owner.uid)) {
    if (owners.some(({ kind, name: ownerName }) => kind === owner.kind && ownerName === owner.name)) {
      throw unavailable(
        `the secret ${name} of an uninstalled cluster of the same name is still being deleted`,
      );
    }
    throw new ForbiddenError({
      code: 'ForeignSecret',
      message: `the secret ${namespace}/${name} does not belong to this cluster: it is not owned by ${owner.name}`,
    });
  }
  if (isDeepStrictEqual(existing.data, desired.data)) return;
  const { resourceVersion } = existing.metadata;
  await client.update(
    SECRETS,
    { ...desired, metadata: { ...desired.metadata, resourceVersion } },
    { signal },
  );
}

function unavailable(message: string): UnavailableError {
  return new UnavailableError({ code: 'HostObjectIncomplete', message });
}
