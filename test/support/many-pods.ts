// Pods of a virtual cluster that no node takes, many at once, for faults in the middle of a sync: cheap to have, and easy to count.
import { PODS } from '../../src/kube/resource.ts';
import { ANNOTATION_UID } from '../../src/syncer/names.ts';
import type { Pod } from '../../src/syncer/objects.ts';
import { eventually } from './eventually.ts';
import { call, type SyncedCluster, sleeper, within } from './synced-cluster.ts';

/** The target of the faults' rows. */
const CONVERGENCE_MS = 30_000;

/** Of a pod that stays pending, on the host too. */
export const NO_NODE = { nodeSelector: { 'mayfly.dev/nowhere': '' } };

export interface ManyPods {
  /** Creates pods `pod-<n>` as a client that does not give up does. @returns their uids. */
  create(count: number): Promise<string[]>;
  /**
   * Waits until the host has so many of them.
   * @returns uids on the host by those inside. Rejects when one of them is there twice.
   */
  onHost(atLeast: number): Promise<Map<string, string>>;
}

/** @param name the virtual cluster's. */
export function manyPods({ host, hostNamespace, inside }: SyncedCluster, name: string): ManyPods {
  async function copies(): Promise<Map<string, string>> {
    const labelSelector = `mayfly.dev/cluster=${name},mayfly.dev/virtual-namespace`;
    const { items } = await host.client.list<Pod>(PODS, {
      namespace: hostNamespace,
      labelSelector,
      ...call(),
    });
    const pairs = items.map(({ metadata: { annotations, uid = '' } }) => {
      return [annotations?.[ANNOTATION_UID] ?? '', uid] as const;
    });
    const byOwner = new Map(pairs);
    if (byOwner.size < pairs.length) throw new Error('a pod has two copies on the host');
    return byOwner;
  }

  async function createOne(index: number): Promise<string> {
    const podName = { namespace: 'default', name: `pod-${index}` };
    const { metadata } = await eventually(
      async () => {
        try {
          return await inside.client.create<Pod>(PODS, sleeper(podName, NO_NODE), call());
        } catch (error) {
          if ((error as { reason?: string }).reason !== 'AlreadyExists') throw error;
          // The answer to the request before was lost.
          return inside.client.get<Pod>(PODS, podName, call());
        }
      },
      { ...within(`${podName.name} is created`), intervalMs: 500 },
    );
    return metadata.uid ?? '';
  }

  return {
    create: (count) => Promise.all(Array.from({ length: count }, (_, index) => createOne(index))),
    onHost: (atLeast) =>
      eventually(
        async () => {
          const found = await copies();
          return found.size >= atLeast ? found : undefined;
        },
        { what: `the host has ${atLeast} pods`, timeoutMs: CONVERGENCE_MS, intervalMs: 50 },
      ),
  };
}
