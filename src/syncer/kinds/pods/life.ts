// How a pod lives on both sides: the host places it and decides when it has ended, the virtual side decides whether it is
// wanted. One step at a time; each is decided from what both sides hold now.
import type { Step } from '../../kind.ts';
import type { Pod } from '../../objects.ts';

export function podStep(virtual: Pod, host: Pod | undefined): Step<Pod> | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = virtual.metadata;
  if (deletionTimestamp) {
    // By force, and yet there: something waits for how it ended, which a kubelet reports of a pod that has time to end only.
    if (host) return endHost(host, Math.max(1, deletionGracePeriodSeconds));
    // With a grace period of zero the API server waits for nothing but finalizers.
    if (deletionGracePeriodSeconds === 0) return { do: 'wait' };
    return { do: 'delete-virtual', gracePeriodSeconds: 0 };
  }
  if (!host) {
    if (wasPlaced(virtual)) return { do: 'delete-virtual', gracePeriodSeconds: 0, confirm: true };
    return hasGates(virtual) ? { do: 'wait' } : undefined;
  }
  if (host.metadata.deletionTimestamp) {
    return { do: 'delete-virtual', gracePeriodSeconds: host.metadata.deletionGracePeriodSeconds ?? 0 };
  }
  if (host.spec?.nodeName && !virtual.spec?.nodeName) return { do: 'bind', node: host.spec.nodeName };
  return undefined;
}

function endHost({ metadata }: Pod, gracePeriodSeconds: number): Step<Pod> | undefined {
  const isEnding = metadata.deletionTimestamp !== undefined;
  const isSoonEnough = (metadata.deletionGracePeriodSeconds ?? 0) <= gracePeriodSeconds;
  // Its last states still flow back.
  return isEnding && isSoonEnough ? undefined : { do: 'delete-host', gracePeriodSeconds };
}

/** Whether a host pod existed for it: bound by the API server, or told so in the status. A name in its spec is no proof. */
function wasPlaced({ spec, status }: Pod): boolean {
  const scheduled = (status?.conditions ?? []).some(
    ({ type, status }) => type === 'PodScheduled' && status === 'True',
  );
  return Boolean(spec?.nodeName) && (scheduled || status?.startTime !== undefined);
}

/** Scheduling gates are lifted inside; until then nothing may be scheduled. */
function hasGates({ spec }: Pod): boolean {
  return (spec?.schedulingGates ?? []).length > 0;
}
