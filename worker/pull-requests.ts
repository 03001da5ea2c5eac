// Pull requests as the worker sees them: where one stands, what its repository says about previews, and whether it gets one.

import { type ProjectFile, parseProjectFile } from '../src/environments/project-file.ts';
import { PROJECT_FILE_NAME } from '../src/environments/project-file-problems.ts';
import type { Environment, PullRequestSource } from '../src/environments/resource.ts';
import type { GitHub, GitHubClient } from '../src/github/client.ts';
import { fetchFile } from '../src/github/fetch-file.ts';
import { listChangedFiles } from '../src/github/list-changed-files.ts';
import {
  decidePullRequest,
  type ForkPolicy,
  type PolicyDecision,
} from '../src/github/pull-request-policy.ts';
import {
  type PullRequest,
  type PullRequestReading,
  readPullRequest,
} from '../src/github/read-pull-request.ts';
import { ConflictError, ForbiddenError, InvalidInputError } from '../src/lib/errors.ts';

type Ref = Pick<PullRequestSource, 'repository' | 'repositoryId' | 'installationId' | 'number'>;

export interface PullRequests {
  clientOf(ref: Pick<Ref, 'installationId'>): GitHubClient;
  read(ref: Ref, signal: AbortSignal): Promise<PullRequestReading>;
  /** @returns undefined when the repository has no such file. @throws InvalidInputError `InvalidProjectFile` */
  projectFile(ref: Ref, pullRequest: PullRequest, signal: AbortSignal): Promise<ProjectFile | undefined>;
  decide(ref: Ref, pullRequest: PullRequest, file: ProjectFile, signal: AbortSignal): Promise<PolicyDecision>;
  /**
   * The pull request of an environment, which is open, wants the commit that the environment is for, and may have a preview:
   * decided anew, because whoever may write Environments could have made this one.
   * @throws ConflictError `PullRequestMoved` when it stands elsewhere by now: its sync job is to be queued
   * @throws ForbiddenError when it may have none
   */
  confirm(
    environment: Environment,
    signal: AbortSignal,
  ): Promise<{ pullRequest: PullRequest; file: ProjectFile }>;
}

export const PULL_REQUEST_MOVED = 'PullRequestMoved';

export interface PullRequestsDeps {
  /** Absent: no GitHub app is configured. */
  github: GitHub | undefined;
  forks: ForkPolicy;
}

export function createPullRequests({ github, forks }: PullRequestsDeps): PullRequests {
  function clientOf({ installationId }: Pick<Ref, 'installationId'>): GitHubClient {
    if (github) return github.installation(installationId);
    throw new ForbiddenError({ code: 'GitHubNotConfigured', message: 'No GitHub app is configured' });
  }

  const read = (ref: Ref, signal: AbortSignal) => readPullRequest(clientOf(ref), ref, signal);

  /** Of a fork, what the base branch says counts: its author must not decide what runs. */
  async function projectFile(ref: Ref, pullRequest: PullRequest, signal: AbortSignal) {
    const { repository, isFork, baseBranch, headCommit } = pullRequest;
    const file = { repository, ref: isFork ? baseBranch : headCommit, path: PROJECT_FILE_NAME };
    const text = await fetchFile(clientOf(ref), file, signal);
    return text === undefined ? undefined : parseProjectFile(text);
  }

  async function decide(ref: Ref, pullRequest: PullRequest, { on: rules }: ProjectFile, signal: AbortSignal) {
    const changed = rules.paths && (await listChangedFiles(clientOf(ref), pullRequest, signal));
    return decidePullRequest({ pullRequest, rules, forks, changed });
  }

  return {
    clientOf,
    read,
    projectFile,
    decide,

    async confirm({ spec }, signal) {
      const source = spec.pullRequest;
      if (!source) throw new Error('the environment has no pull request');
      const reading = await read(source, signal);
      if (reading.state === 'inaccessible') {
        throw new ForbiddenError({ code: 'RepositoryInaccessible', message: reading.reason });
      }
      if (reading.state !== 'open' || reading.pullRequest.headCommit !== source.commit) {
        const now = reading.state === 'open' ? `at ${reading.pullRequest.headCommit}` : reading.state;
        throw new ConflictError({
          code: PULL_REQUEST_MOVED,
          message: `${source.repository}#${source.number} is ${now} by now`,
        });
      }
      const { pullRequest } = reading;
      const file = await projectFile(source, pullRequest, signal);
      if (!file) {
        throw new InvalidInputError({
          code: 'NoProjectFile',
          message: `${pullRequest.repository} has no ${PROJECT_FILE_NAME} at ${source.commit}`,
        });
      }
      const decision = await decide(source, pullRequest, file, signal);
      if (!decision.wanted) throw new ForbiddenError({ code: decision.reason, message: decision.message });
      return { pullRequest, file };
    },
  };
}
