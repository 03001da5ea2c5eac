// Which open pull requests get an environment. Pure. The rules must come from the base branch and from the service's
// own configuration: nothing that the author of a fork can change may decide.
import picomatch from 'picomatch';
import type { ChangedFiles } from './list-changed-files.ts';
import type { PullRequest } from './read-pull-request.ts';

export interface PullRequestRules {
  /** Globs of base branches; absent: all. */
  branches?: string[] | undefined;
  /** Globs of changed files, one of which must match; absent: all. */
  paths?: string[] | undefined;
  drafts: boolean;
}

/** What the service's operator says about pull requests from other repositories. */
export type ForkPolicy = 'refuse' | 'allow';

export type PolicyDecision =
  | { wanted: true }
  /** `reason` is stable, in PascalCase; `message` is for the author. */
  | {
      wanted: false;
      reason: 'ForkNotAllowed' | 'DraftNotWanted' | 'BranchNotWanted' | 'PathsNotWanted';
      message: string;
    };

export interface PolicyQuestion {
  pullRequest: Pick<PullRequest, 'isFork' | 'draft' | 'baseBranch'>;
  rules: PullRequestRules;
  forks: ForkPolicy;
  /** Needed when the rules name paths; without it they are taken as matched. */
  changed?: ChangedFiles;
}

export function decidePullRequest({ pullRequest, rules, forks, changed }: PolicyQuestion): PolicyDecision {
  if (pullRequest.isFork && forks !== 'allow') {
    return {
      wanted: false,
      reason: 'ForkNotAllowed',
      message: 'The pull request comes from a fork, and this service runs nothing from forks.',
    };
  }
  if (pullRequest.draft && !rules.drafts) {
    return {
      wanted: false,
      reason: 'DraftNotWanted',
      message: 'The pull request is a draft; the preview comes when it is ready for review.',
    };
  }
  if (rules.branches && !matchesAny(pullRequest.baseBranch, rules.branches)) {
    return {
      wanted: false,
      reason: 'BranchNotWanted',
      message: `Pull requests into ${pullRequest.baseBranch} get no preview.`,
    };
  }
  const { paths } = rules;
  if (paths && changed?.complete && !changed.paths.some((path) => matchesAny(path, paths))) {
    return {
      wanted: false,
      reason: 'PathsNotWanted',
      message: 'None of the changed files is one that a preview is made for.',
    };
  }
  return { wanted: true };
}

function matchesAny(path: string, globs: readonly string[]): boolean {
  return picomatch.isMatch(path, [...globs], { dot: true });
}
