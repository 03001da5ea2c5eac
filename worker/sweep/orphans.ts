// Host namespaces of ours whose environment is gone: left over when somebody removed a finalizer by hand, for example.
import { ENVIRONMENTS, type Environment } from '../../src/environments/resource.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { NAMESPACES } from '../../src/kube/resource.ts';
import type { Logger } from '../../src/lib/logger.ts';
import {
  ENVIRONMENT_LABEL,
  ENVIRONMENT_UID_LABEL,
  type HostNamespace,
  MANAGED_BY_LABEL,
} from '../host-namespace.ts';

export interface OrphanView {
  namespaces: readonly HostNamespace[];
  /** UIDs of all environments there are. */
  environmentUids: ReadonlySet<string>;
  /** The API server's time. */
  nowMs: number;
}

/** Younger ones may belong to an environment that the local copy does not know yet. */
const GRACE_MS = 5 * 60_000;

export function findOrphans({ namespaces, environmentUids, nowMs }: OrphanView): HostNamespace[] {
  return namespaces.filter(({ metadata }) => {
    const uid = metadata.labels?.[ENVIRONMENT_UID_LABEL];
    const ageMs = nowMs - Date.parse(metadata.creationTimestamp ?? '');
    return uid !== undefined && !metadata.deletionTimestamp && !environmentUids.has(uid) && ageMs > GRACE_MS;
  });
}

export interface OrphanSweepDeps {
  client: KubeClient;
  /** Of the Environments. */
  namespace: string;
  release: string;
  logger: Logger;
}

/** Deletes the orphans, each one only after the API server itself has said that its environment does not exist. */
export async function removeOrphans(
  { client, namespace, release, logger }: OrphanSweepDeps,
  { environmentUids, nowMs }: Omit<OrphanView, 'namespaces'>,
  signal: AbortSignal,
): Promise<void> {
  const labelSelector = `${MANAGED_BY_LABEL}=${release}`;
  const { items } = await client.list<HostNamespace>(NAMESPACES, { labelSelector, signal });
  for (const { metadata } of findOrphans({ namespaces: items, environmentUids, nowMs })) {
    const name = metadata.labels?.[ENVIRONMENT_LABEL] ?? '';
    const owner = await client
      .get<Environment>(ENVIRONMENTS, { namespace, name }, { signal })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    if (owner && owner.metadata.uid === metadata.labels?.[ENVIRONMENT_UID_LABEL]) continue;
    logger.warn(
      { hostNamespace: metadata.name, environment: name },
      'deleting the namespace of no environment',
    );
    await client
      .delete(
        NAMESPACES,
        { name: metadata.name ?? '' },
        { preconditions: { uid: metadata.uid ?? '' }, signal },
      )
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
  }
}
