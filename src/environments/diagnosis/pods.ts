// Why a pod is not ready, in the words of who has to mend it: the first cause found, nearest to the root.
import { claimProblem } from './claims.ts';
import {
  type ClusterObjects,
  type ContainerStatus,
  nameOf,
  newestWarning,
  type Pod,
  type Problem,
} from './objects.ts';

/** A container that fails again after so many restarts is not going to recover by itself. */
const HOPELESS_RESTARTS = 4;

/** What registries and runtimes say when another try will be answered alike. */
const NO_SUCH_IMAGE = /not found|manifest unknown|denied|unauthorized|forbidden|invalid reference/i;

/** Reasons of waiting containers that are about the container's image. */
const IMAGE_REASONS = [
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
];
const FINAL_IMAGE_REASONS = ['InvalidImageName', 'ErrImageNeverPull'];

export function isPodReady({ status, metadata }: Pod): boolean {
  if (metadata.deletionTimestamp) return false;
  if (status?.phase === 'Succeeded') return true;
  return (status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}

/** Nothing when the pod is ready, or only needs more time. */
export function podProblem(pod: Pod, objects: ClusterObjects): Problem | undefined {
  if (isPodReady(pod) || pod.metadata.deletionTimestamp) return undefined;
  return (
    refusedProblem(pod, objects) ??
    schedulingProblem(pod, objects) ??
    containerProblem(pod) ??
    evictionProblem(pod) ??
    mountProblem(pod, objects) ??
    probeProblem(pod, objects)
  );
}

/** The syncer's word that the host does not take this pod. */
function refusedProblem(pod: Pod, { events }: ClusterObjects): Problem | undefined {
  const refusal = newestWarning(events, pod, 'SyncRefused');
  if (!refusal) return undefined;
  return {
    reason: 'SyncRefused',
    message: `pod \`${nameOf(pod)}\` was refused: ${refusal.message}`,
    final: true,
  };
}

function schedulingProblem(pod: Pod, objects: ClusterObjects): Problem | undefined {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'True') return undefined;
  const claim = unboundClaimProblem(pod, objects);
  if (claim) return claim;
  if (scheduled?.reason !== 'Unschedulable') return undefined;
  const message = `pod \`${nameOf(pod)}\` cannot be scheduled: ${scheduled.message ?? 'no node fits'}`;
  return { reason: 'Unschedulable', message, final: false };
}

function unboundClaimProblem(pod: Pod, objects: ClusterObjects): Problem | undefined {
  for (const { persistentVolumeClaim } of pod.spec?.volumes ?? []) {
    if (!persistentVolumeClaim) continue;
    const claim = objects.persistentVolumeClaims.find(
      ({ metadata }) =>
        metadata.name === persistentVolumeClaim.claimName && metadata.namespace === pod.metadata.namespace,
    );
    if (!claim) {
      const message = `pod \`${nameOf(pod)}\` needs PersistentVolumeClaim \`${persistentVolumeClaim.claimName}\`, which does not exist`;
      return { reason: 'ClaimMissing', message, final: false };
    }
    const problem = claimProblem(claim, objects);
    if (problem) return problem;
  }
  return undefined;
}

function containerProblem(pod: Pod): Problem | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  for (const status of [...initContainerStatuses, ...containerStatuses]) {
    const problem = imageProblem(status) ?? configurationProblem(status) ?? exitProblem(status, pod);
    if (problem) return problem;
  }
  return undefined;
}

function imageProblem({ name, image, state }: ContainerStatus): Problem | undefined {
  const { reason = '', message = '' } = state?.waiting ?? {};
  if (!IMAGE_REASONS.includes(reason)) return undefined;
  return {
    reason: 'ImagePullFailed',
    message: `image \`${image}\` of container \`${name}\` cannot be pulled${message && `: ${message}`}`,
    final: FINAL_IMAGE_REASONS.includes(reason) || NO_SUCH_IMAGE.test(message),
  };
}

function configurationProblem({ name, state }: ContainerStatus): Problem | undefined {
  const { reason = '', message } = state?.waiting ?? {};
  if (!/^(CreateContainer|RunContainer|StartError)/.test(reason)) return undefined;
  return {
    reason: 'ContainerCannotStart',
    message: `container \`${name}\` cannot start: ${message ?? reason}`,
    final: false,
  };
}

function exitProblem(
  { name, state, lastState, restartCount }: ContainerStatus,
  pod: Pod,
): Problem | undefined {
  if (state?.running && restartCount < HOPELESS_RESTARTS) return undefined;
  const exit = state?.terminated ?? lastState?.terminated;
  if (!exit || (exit.exitCode === 0 && !state?.waiting)) return undefined;
  const restarts =
    restartCount === 0 ? '' : `, restarted ${restartCount === 1 ? 'once' : `${restartCount} times`}`;
  return {
    reason: exit.reason === 'OOMKilled' ? 'OutOfMemory' : 'ContainerExits',
    message: `container \`${name}\` ${exitText(exit, limitOf(pod, name))}${restarts}`,
    final: restartCount >= HOPELESS_RESTARTS || (pod.spec?.restartPolicy === 'Never' && exit.exitCode !== 0),
  };
}

function exitText(
  { reason, exitCode, signal }: { reason?: string; exitCode: number; signal?: number },
  limit?: string,
) {
  if (reason === 'OOMKilled')
    return `was killed for using more memory than its limit${limit ? ` of ${limit}` : ''}`;
  if (signal) return `was killed by signal ${signal}`;
  return `exits with ${exitCode}`;
}

function limitOf({ spec }: Pod, containerName: string): string | undefined {
  return spec?.containers.find(({ name }) => name === containerName)?.resources?.limits?.memory;
}

function evictionProblem({ metadata, status }: Pod): Problem | undefined {
  if (status?.phase !== 'Failed') return undefined;
  const detail = [status.reason, status.message].filter(Boolean).join(': ');
  return {
    reason: 'PodFailed',
    message: `pod \`${metadata.name}\` failed${detail && `: ${detail}`}`,
    final: false,
  };
}

function mountProblem(pod: Pod, { events }: ClusterObjects): Problem | undefined {
  const starting = (pod.status?.containerStatuses ?? []).some(({ state }) => state?.waiting);
  const warning = starting ? newestWarning(events, pod, 'FailedMount', 'FailedAttachVolume') : undefined;
  if (!warning) return undefined;
  const message = `pod \`${nameOf(pod)}\` waits for a volume: ${warning.message}`;
  return { reason: 'VolumeNotMounted', message, final: false };
}

function probeProblem(pod: Pod, { events }: ClusterObjects): Problem | undefined {
  const unready = (pod.status?.containerStatuses ?? []).find(({ ready, state }) => !ready && state?.running);
  const warning = unready ? newestWarning(events, pod, 'Unhealthy') : undefined;
  if (!unready || !warning) return undefined;
  const message = `container \`${unready.name}\` is not ready: ${warning.message}`;
  return { reason: 'ProbeFails', message, final: false };
}
