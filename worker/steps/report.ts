// Tells the pull request how its environment stands, in its one comment.
import { findCondition, isConditionTrue } from '../../src/environments/conditions.ts';
import type { Environment } from '../../src/environments/resource.ts';
import type { PullRequestReading } from '../../src/github/read-pull-request.ts';
import { type CommentContent, type CommentStep, renderComment } from '../../src/github/render-comment.ts';
import { upsertComment } from '../../src/github/upsert-comment.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { ConflictError, NotFoundError } from '../../src/lib/errors.ts';
import { hostPlaceOf } from '../host-namespace.ts';
import { PULL_REQUEST_MOVED, type PullRequests } from '../pull-requests.ts';
import type { Step } from '../step.ts';

export interface ReportStepDeps {
  pullRequests: PullRequests;
  clock: Clock;
}

export function createReportStep({ pullRequests, clock }: ReportStepDeps): Step {
  return {
    name: 'report',
    condition: 'Reported',

    async isDone({ environment, ran }) {
      if (!environment.spec.pullRequest) return true;
      return ran.size === 0 && isConditionTrue(environment.status?.conditions, 'Reported');
    },

    async run({ environment }, signal) {
      const source = environment.spec.pullRequest;
      if (!source) return { message: 'There is no pull request' };
      const reading = await pullRequests.read(source, signal);
      if (reading.state === 'gone' || reading.state === 'inaccessible') {
        return { message: `The pull request is ${reading.state}: nobody was told` };
      }
      assertStillWanted(environment, reading);
      const { name = '' } = environment.metadata;
      const { repository, number } = reading.pullRequest;
      const target = { repository, number, environment: name, commentId: environment.status?.commentId };
      const text = renderComment(commentContent(environment, reading, clock));
      try {
        const { commentId } = await upsertComment(pullRequests.clientOf(source), target, text, signal);
        return { message: `${repository}#${number} was told`, facts: { commentId } };
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
        return { message: 'The pull request is gone: nobody was told' };
      }
    },
  };
}

/** Nobody is told of a commit that is no longer the newest one, or that a closed pull request has a preview. */
function assertStillWanted(
  { metadata, spec }: Environment,
  { state, pullRequest }: Extract<PullRequestReading, { pullRequest: object }>,
): void {
  if (metadata.deletionTimestamp) return;
  if (state === 'open' && pullRequest.headCommit === spec.pullRequest?.commit) return;
  throw new ConflictError({
    code: PULL_REQUEST_MOVED,
    message: `${pullRequest.repository}#${pullRequest.number} has moved on`,
  });
}

/** What the comment is to say of an environment whose run has come to its end. */
export function commentContent(
  environment: Environment,
  { state }: Pick<PullRequestReading, 'state'>,
  clock: Clock,
): CommentContent {
  const { metadata, spec, status } = environment;
  const { name = '' } = metadata;
  if (metadata.deletionTimestamp) {
    const { cluster, namespace } = hostPlaceOf(environment);
    return {
      state: 'torn-down',
      environment: name,
      reason: whyTornDown(environment, state, clock),
      deleted: [`virtual cluster ${cluster}`, `namespace ${namespace} and everything in it`],
    };
  }
  const commit = spec.pullRequest?.commit ?? '';
  const steps = commentSteps(environment);
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'True') {
    const previews = (status?.endpoints ?? []).map((endpoint) => ({
      name: endpoint.name,
      url: endpoint.url,
    }));
    return { state: 'ready', environment: name, commit, previews, expiresAt: spec.expiresAt, steps };
  }
  if (ready?.status === 'False')
    return { state: 'failed', environment: name, commit, reason: ready.message, steps };
  return { state: 'provisioning', environment: name, commit, steps };
}

function whyTornDown({ spec }: Environment, state: PullRequestReading['state'], clock: Clock): string {
  if (state === 'merged') return 'The pull request was merged.';
  if (state === 'closed') return 'The pull request was closed.';
  return Date.parse(spec.expiresAt) <= clock.nowMs() ? 'Its time to live is over.' : 'It was deleted.';
}

/** People wait for a control plane and a deploy; what these consist of is for `kubectl describe`. */
const SHOWN: readonly { name: string; steps: readonly string[] }[] = [
  { name: 'control plane', steps: ['namespace', 'control-plane', 'api-ready'] },
  { name: 'deploy', steps: ['deploy', 'publish'] },
];

function commentSteps({ status }: Environment): CommentStep[] {
  return SHOWN.map(({ name, steps }) => ({
    name,
    durationMs: (status?.steps ?? [])
      .filter((timing) => steps.includes(timing.name))
      .reduce((sum, { durationMs = 0 }) => sum + durationMs, 0),
  })).filter(({ durationMs }) => durationMs > 0);
}
