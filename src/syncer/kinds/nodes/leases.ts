// The Lease of every Node shown inside, renewed for as long as the host knows that its machine is alive: what watches leases
// rather than conditions sees the truth too. The host's own leases are not read: their renewals would be one event per node
// every ten seconds.
import type { KubeClient } from '../../../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../../../kube/errors.ts';
import { LEASES, type LeaseObject } from '../../../kube/lease.ts';
import type { ReadStore } from '../../../kube/store.ts';
import type { Clock } from '../../../lib/clock.ts';
import { errorMessage } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/logger.ts';
import { ANNOTATION_FROM_HOST } from '../../names.ts';
import type { Node } from '../../objects.ts';

export interface NodeLeasesDeps {
  /** Of the virtual cluster. */
  client: Pick<KubeClient, 'create' | 'patch'>;
  nodes: Pick<ReadStore<Node>, 'list'>;
  clock: Clock;
  logger: Logger;
}

const NAMESPACE = 'kube-node-lease';
/** A kubelet's are a quarter of these; here each renewal is a write to the store of a cluster that may be idle for days. */
const RENEW_INTERVAL_MS = 40_000;
const DURATION_SECONDS = 160;

/** Runs until aborted. Never rejects. */
export async function keepNodeLeases(deps: NodeLeasesDeps, signal: AbortSignal): Promise<void> {
  const { client, nodes, clock, logger } = deps;

  async function renew(node: Node): Promise<void> {
    const { name = '', uid = '' } = node.metadata;
    // MicroTime.
    const renewTime = new Date(clock.nowMs()).toISOString().replace('Z', '000Z');
    try {
      await client.patch<LeaseObject>(
        LEASES,
        { namespace: NAMESPACE, name },
        { type: 'merge', body: { spec: { renewTime } } },
        { signal },
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
      const spec = { holderIdentity: name, leaseDurationSeconds: DURATION_SECONDS, renewTime };
      await client.create(
        LEASES,
        { metadata: { namespace: NAMESPACE, name, ownerReferences }, spec },
        { signal },
      );
    }
  }

  async function renewAll(): Promise<void> {
    for (const node of nodes.list().filter(isAlive)) {
      try {
        await renew(node);
      } catch (error) {
        if (signal.aborted) return;
        if (isAlreadyExists(error)) continue;
        logger.warn(
          { node: node.metadata.name, reason: errorMessage(error) },
          'cannot renew the lease of a node',
        );
      }
    }
  }

  while (!signal.aborted) {
    await renewAll();
    await clock.sleep(RENEW_INTERVAL_MS, signal).catch(() => undefined);
  }
}

/** The host says `Unknown` of a node whose kubelet has stopped renewing. */
function isAlive({ metadata, status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return (
    metadata.annotations?.[ANNOTATION_FROM_HOST] === 'true' &&
    ready !== undefined &&
    ready.status !== 'Unknown'
  );
}
