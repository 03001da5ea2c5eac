// Reads where a pull request stands. Only GitHub's own word counts: an outage throws, it is never "closed".
import type { RestEndpointMethodTypes } from '@octokit/rest';
import { ForbiddenError, NotFoundError } from '../lib/errors.ts';
import { type GitHubClient, INSTALLATION_NOT_ACCESSIBLE } from './client.ts';
import { splitRepository } from './repository-name.ts';

export interface PullRequestRef {
  /** `owner/name` as last known. */
  repository: string;
  /** What identifies the repository: names can change hands. */
  repositoryId: number;
  number: number;
}

export interface PullRequest extends PullRequestRef {
  /** `owner/name` as of now. */
  repository: string;
  title: string;
  url: string;
  draft: boolean;
  author: string;
  labels: string[];
  /** 40 hex digits. */
  headCommit: string;
  headBranch: string;
  /** Where configuration that must not come from the author is read. */
  baseBranch: string;
  /** The head is in another repository, or in one that was deleted. */
  isFork: boolean;
}

export type PullRequestReading =
  | { state: 'open' | 'closed' | 'merged'; pullRequest: PullRequest }
  /** The repository is there and has no such pull request. */
  | { state: 'gone' }
  /** Nothing can be said: the app may not see the repository any more. */
  | { state: 'inaccessible'; reason: string };

const MAX_REPOSITORY_PAGES = 50;

/** @throws UnavailableError while GitHub does not answer, or answers with an error that says nothing. */
export async function readPullRequest(
  client: GitHubClient,
  ref: PullRequestRef,
  signal: AbortSignal,
): Promise<PullRequestReading> {
  try {
    const atKnownName = await readAt(client, ref, signal);
    if (atKnownName && atKnownName.base.repo.id === ref.repositoryId) return toReading(atKnownName);

    const repository = await currentName(client, ref.repositoryId, signal);
    if (repository === undefined) {
      return { state: 'inaccessible', reason: `the app has no access to repository ${ref.repository}` };
    }
    const pull = await readAt(client, { ...ref, repository }, signal);
    return pull ? toReading(pull) : { state: 'gone' };
  } catch (error) {
    if (error instanceof ForbiddenError && error.code === INSTALLATION_NOT_ACCESSIBLE) {
      return { state: 'inaccessible', reason: error.message };
    }
    throw error;
  }
}

type GitHubPull = RestEndpointMethodTypes['pulls']['get']['response']['data'];

async function readAt(
  { octokit }: GitHubClient,
  { repository, number }: PullRequestRef,
  signal: AbortSignal,
): Promise<GitHubPull | undefined> {
  try {
    const { data } = await octokit.rest.pulls.get({
      ...splitRepository(repository),
      pull_number: number,
      request: { signal },
    });
    return data;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** GitHub documents no way to read a repository by its id; the list of what the installation may see has the ids. */
async function currentName(
  { octokit }: GitHubClient,
  repositoryId: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const pages = octokit.paginate.iterator(octokit.rest.apps.listReposAccessibleToInstallation, {
    per_page: 100,
    request: { signal },
  });
  let count = 0;
  for await (const { data } of pages) {
    const found = data.find(({ id }) => id === repositoryId);
    if (found) return found.full_name;
    if (++count >= MAX_REPOSITORY_PAGES) break;
  }
  return undefined;
}

function toReading(pull: GitHubPull): PullRequestReading {
  const state = pull.state === 'open' ? 'open' : pull.merged ? 'merged' : 'closed';
  return {
    state,
    pullRequest: {
      repository: pull.base.repo.full_name,
      repositoryId: pull.base.repo.id,
      number: pull.number,
      title: pull.title,
      url: pull.html_url,
      draft: pull.draft ?? false,
      author: pull.user.login,
      labels: pull.labels.map(({ name }) => name),
      headCommit: pull.head.sha,
      headBranch: pull.head.ref,
      baseBranch: pull.base.ref,
      isFork: pull.head.repo?.id !== pull.base.repo.id,
    },
  };
}
