// The synced kind PodDisruptionBudget: as many pods as the controller inside says must stay, so that evictions on the host leave
// them too. That controller knows the owners of the pods, which no pod on the host has, and writes the status.
import { POD_DISRUPTION_BUDGETS } from '../../../kube/resource.ts';
import { defined } from '../../allow-list.ts';
import { mergeMetadata, type SyncedKind } from '../../kind.ts';
import type { PodDisruptionBudget } from '../../objects.ts';
import { hostSelector } from '../../selectors.ts';

export const podDisruptionBudgets: SyncedKind<PodDisruptionBudget> = {
  type: POD_DISRUPTION_BUDGETS,
  when: 'always',
  toHost(virtual, { cluster }) {
    const { metadata, spec } = virtual;
    const minAvailable = healthyPodsNeeded(virtual);
    // Without a selector it is about no pod, and until its status is there nobody knows how many pods it asks for.
    if (!spec?.selector || minAvailable === undefined) return undefined;
    return {
      metadata: {},
      spec: defined({
        minAvailable,
        selector: hostSelector(spec.selector, cluster, [metadata.namespace ?? '']),
        unhealthyPodEvictionPolicy: spec.unhealthyPodEvictionPolicy,
      }),
    };
  },
  merge: (host, { metadata, spec }) => ({ ...host, metadata: mergeMetadata(host.metadata, metadata), spec }),
};

/** A percentage, or a number of pods that may be missing, is of the replicas that the pods' owners ask for. */
function healthyPodsNeeded({ spec, status }: PodDisruptionBudget): number | undefined {
  if (typeof spec?.minAvailable === 'number') return spec.minAvailable;
  return status?.observedGeneration ? status.desiredHealthy : undefined;
}
