// Whether each workload has come to what it wants, by the rules that `kubectl rollout status` goes by, and why not.
import type { KubeObject } from '../../kube/resource.ts';
import {
  type ClusterObjects,
  type DaemonSet,
  type Deployment,
  hasController,
  isControlledBy,
  type Job,
  nameOf,
  newestWarning,
  type Pod,
  type Problem,
  type StatefulSet,
} from './objects.ts';
import { isPodReady, podProblem } from './pods.ts';

const REVISION = 'deployment.kubernetes.io/revision';

/** A workload that is not ready, and what is known of the cause. */
export interface UnreadyWorkload {
  /** `Deployment \`web\``. */
  title: string;
  state: string;
  problem?: Problem;
}

/** Every workload that is not ready. Pods and Jobs that another workload makes are judged through it. */
export function unreadyWorkloads(objects: ClusterObjects): UnreadyWorkload[] {
  return [
    ...objects.deployments.map((deployment) => unreadyDeployment(deployment, objects)),
    ...objects.statefulSets.map((statefulSet) => unreadyStatefulSet(statefulSet, objects)),
    ...objects.daemonSets.map((daemonSet) => unreadyDaemonSet(daemonSet, objects)),
    ...objects.jobs.filter((job) => !hasController(job)).map((job) => unreadyJob(job, objects)),
    ...objects.pods.filter((pod) => !hasController(pod)).map((pod) => unreadyPod(pod, objects)),
  ].filter((workload) => workload !== undefined);
}

function unreadyDeployment(deployment: Deployment, objects: ClusterObjects): UnreadyWorkload | undefined {
  const { metadata, spec, status = {} } = deployment;
  const wanted = spec?.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = status;
  const isSeen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  if (isSeen && updatedReplicas >= wanted && replicas <= updatedReplicas && availableReplicas >= wanted) {
    return undefined;
  }
  const newest = objects.replicaSets
    .filter((replicaSet) => isControlledBy(replicaSet, deployment))
    .sort((a, b) => revisionOf(b) - revisionOf(a))[0];
  const failure = status.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  const overdue = status.conditions?.find(
    ({ type, reason }) => type === 'Progressing' && reason === 'ProgressDeadlineExceeded',
  );
  return {
    title: `Deployment \`${nameOf(deployment)}\``,
    state:
      availableReplicas === 0 ? 'is not available' : `has ${availableReplicas} of ${wanted} pods available`,
    problem:
      (newest && podsProblem(newest, objects)) ??
      (failure && creationProblem(failure.message ?? '')) ??
      (overdue && { reason: 'ProgressDeadlineExceeded', message: overdue.message ?? '', final: true }),
  };
}

function revisionOf({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.[REVISION] ?? 0);
}

function unreadyStatefulSet(statefulSet: StatefulSet, objects: ClusterObjects): UnreadyWorkload | undefined {
  const { metadata, spec, status } = statefulSet;
  const wanted = spec?.replicas ?? 1;
  const ready = status?.readyReplicas ?? 0;
  const isSeen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  const updatesItself = spec?.updateStrategy?.type !== 'OnDelete';
  const updated =
    !updatesItself ||
    (status?.updatedReplicas ?? 0) >= wanted - (spec?.updateStrategy?.rollingUpdate?.partition ?? 0);
  if (isSeen && updated && ready >= wanted) return undefined;
  return controlled(statefulSet, `StatefulSet \`${nameOf(statefulSet)}\``, ready, wanted, objects);
}

function unreadyDaemonSet(daemonSet: DaemonSet, objects: ClusterObjects): UnreadyWorkload | undefined {
  const { metadata, spec, status } = daemonSet;
  const wanted = status?.desiredNumberScheduled ?? 0;
  const ready = status?.numberAvailable ?? 0;
  const isSeen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  const updated =
    spec?.updateStrategy?.type === 'OnDelete' || (status?.updatedNumberScheduled ?? 0) >= wanted;
  if (isSeen && updated && ready >= wanted) return undefined;
  return controlled(daemonSet, `DaemonSet \`${nameOf(daemonSet)}\``, ready, wanted, objects);
}

function controlled(
  workload: KubeObject,
  title: string,
  ready: number,
  wanted: number,
  objects: ClusterObjects,
): UnreadyWorkload {
  const state = ready === 0 ? 'is not ready' : `has ${ready} of ${wanted} pods ready`;
  return { title, state, problem: podsProblem(workload, objects) };
}

function unreadyJob(job: Job, objects: ClusterObjects): UnreadyWorkload | undefined {
  const conditions = job.status?.conditions ?? [];
  const holds = (wanted: string) =>
    conditions.find(({ type, status }) => type === wanted && status === 'True');
  if (holds('Complete') || job.spec?.suspend) return undefined;
  const title = `Job \`${nameOf(job)}\``;
  const failed = holds('Failed');
  const cause = podsProblem(job, objects);
  if (!failed) return { title, state: 'has not completed', problem: cause };
  const message = cause?.message ?? failed.message ?? failed.reason ?? 'no reason given';
  return { title, state: 'failed', problem: { reason: 'JobFailed', message, final: true } };
}

function unreadyPod(pod: Pod, objects: ClusterObjects): UnreadyWorkload | undefined {
  if (isPodReady(pod) || pod.metadata.deletionTimestamp) return undefined;
  return { title: `Pod \`${nameOf(pod)}\``, state: 'is not ready', problem: podProblem(pod, objects) };
}

/** The worst that is wrong with the pods of a workload; when it has none that say so, with making them. */
function podsProblem(controller: KubeObject, objects: ClusterObjects): Problem | undefined {
  const problems = objects.pods
    .filter((pod) => isControlledBy(pod, controller))
    .map((pod) => podProblem(pod, objects))
    .filter((problem) => problem !== undefined);
  const worst = problems.find(({ final }) => final) ?? problems[0];
  if (worst) return worst;
  const hasPods = objects.pods.some((pod) => isControlledBy(pod, controller));
  const failed = hasPods ? undefined : newestWarning(objects.events, controller, 'FailedCreate');
  return failed && creationProblem(failed.message ?? '');
}

function creationProblem(message: string): Problem {
  const reason = /exceeded quota/.test(message) ? 'QuotaExceeded' : 'PodsCannotBeMade';
  return { reason, message: `its pods cannot be made: ${message}`, final: false };
}
