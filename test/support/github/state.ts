// What the test GitHub knows: repositories, pull requests, comments. Tests change it through github.ts's handle.
import { randomInt } from 'node:crypto';
import type { RepositoryStorage } from './repository-storage.ts';

export interface Repository {
  id: number;
  /** `owner/name`. */
  fullName: string;
  /** Names it had before: they redirect. */
  formerNames: string[];
  /** Whether the app's installation may see it. */
  installed: boolean;
  storage: RepositoryStorage;
  nextNumber: number;
}

export interface PullRequest {
  id: number;
  number: number;
  repository: Repository;
  /** Another one for a fork; undefined when the fork was deleted. */
  headRepository: Repository | undefined;
  title: string;
  author: string;
  branch: string;
  baseBranch: string;
  baseCommit: string;
  headCommit: string;
  state: 'open' | 'closed';
  merged: boolean;
  draft: boolean;
  labels: string[];
  /** GitHub's staff took it away: 404. */
  deleted: boolean;
}

export interface Comment {
  id: number;
  repositoryId: number;
  number: number;
  body: string;
  /** Login of a person, or undefined for the app itself. */
  author: string | undefined;
  createdAt: string;
  /** How often its body was changed. */
  updates: number;
}

export interface State {
  repositories: Repository[];
  pullRequests: PullRequest[];
  comments: Comment[];
  /** A number that no object of any other test GitHub is likely to have. */
  newId(): number;
}

export function createState(): State {
  let lastId = randomInt(1_000_000, 1_000_000_000);
  return {
    repositories: [],
    pullRequests: [],
    comments: [],
    newId: () => ++lastId,
  };
}
