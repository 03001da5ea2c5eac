// The job `sync-pull-request`: makes the environment of a pull request what the pull request says now.
import { pullRequestEnvironmentNames } from '../../src/environments/names.ts';
import type { ProjectFile } from '../../src/environments/project-file.ts';
import type { EnvironmentService } from '../../src/environments/service.ts';
import type { PullRequest } from '../../src/github/read-pull-request.ts';
import { type CommentContent, renderComment } from '../../src/github/render-comment.ts';
import { upsertComment } from '../../src/github/upsert-comment.ts';
import { InvalidInputError } from '../../src/lib/errors.ts';
import type { JobContext } from '../../src/queue/job-worker.ts';
import type { SyncPullRequest } from '../../src/queue/jobs.ts';
import type { PullRequests } from '../pull-requests.ts';

export interface SyncPullRequestDeps {
  pullRequests: PullRequests;
  service: Pick<EnvironmentService, 'upsertForPullRequest' | 'deleteForPullRequest'>;
}

export function createSyncPullRequestHandler({ pullRequests, service }: SyncPullRequestDeps) {
  /** `invalid`: the environment is made all the same, and its deploy says what is wrong, as for any other mistake. */
  async function readProjectFile(
    job: SyncPullRequest,
    pullRequest: PullRequest,
    signal: AbortSignal,
  ): Promise<ProjectFile | 'invalid' | undefined> {
    try {
      return await pullRequests.projectFile(job, pullRequest, signal);
    } catch (error) {
      if (error instanceof InvalidInputError) return 'invalid';
      throw error;
    }
  }

  async function comment(
    job: SyncPullRequest,
    pullRequest: PullRequest,
    content: CommentContent,
    signal: AbortSignal,
  ): Promise<void> {
    const { repository, number } = pullRequest;
    const [environment] = pullRequestEnvironmentNames(pullRequest);
    const target = { repository, number, environment };
    await upsertComment(pullRequests.clientOf(job), target, renderComment(content), signal);
  }

  return async (job: SyncPullRequest, { signal, logger }: JobContext): Promise<void> => {
    const reading = await pullRequests.read(job, signal);
    if (reading.state === 'inaccessible') {
      logger.info({ reason: reading.reason }, 'nothing is known of the pull request, its environment stays');
      return;
    }
    if (reading.state !== 'open') {
      await service.deleteForPullRequest(job, signal);
      return;
    }
    const { pullRequest } = reading;
    const file = await readProjectFile(job, pullRequest, signal);
    if (!file) {
      await service.deleteForPullRequest(job, signal);
      return;
    }
    if (file !== 'invalid') {
      const decision = await pullRequests.decide(job, pullRequest, file, signal);
      if (!decision.wanted) {
        await service.deleteForPullRequest(job, signal);
        // The other reasons are the project's own rules, and a comment for each push would be noise.
        if (decision.reason === 'ForkNotAllowed') {
          await comment(job, pullRequest, { state: 'refused', reason: decision.message }, signal);
        }
        return;
      }
    }
    const { repository, repositoryId, number, headCommit: commit } = pullRequest;
    const source = { repository, repositoryId, number, commit, installationId: job.installationId };
    const wishes = file === 'invalid' ? {} : file.environment;
    try {
      await service.upsertForPullRequest({ source, ...wishes }, signal);
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      await comment(job, pullRequest, { state: 'refused', reason: error.message }, signal);
    }
  };
}
