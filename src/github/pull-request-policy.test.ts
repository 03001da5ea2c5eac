// Which pull requests get an environment.
import { expect, test } from 'vitest';
import { decidePullRequest, type PolicyQuestion } from './pull-request-policy.ts';

const open: PolicyQuestion = {
  pullRequest: { isFork: false, draft: false, baseBranch: 'main' },
  rules: { drafts: true },
  forks: 'refuse',
};
const changed = (...paths: string[]) => ({ paths, complete: true });

test.each<[string, PolicyQuestion, string | undefined]>([
  ['an ordinary pull request gets one', open, undefined],
  ['a fork gets none', { ...open, pullRequest: { ...open.pullRequest, isFork: true } }, 'ForkNotAllowed'],
  [
    'a fork gets one where the operator allows forks',
    { ...open, pullRequest: { ...open.pullRequest, isFork: true }, forks: 'allow' },
    undefined,
  ],
  ['a draft gets one', { ...open, pullRequest: { ...open.pullRequest, draft: true } }, undefined],
  [
    'a draft gets none where drafts are off',
    { ...open, pullRequest: { ...open.pullRequest, draft: true }, rules: { drafts: false } },
    'DraftNotWanted',
  ],
  [
    'another branch gets none',
    { ...open, rules: { drafts: true, branches: ['release/*'] } },
    'BranchNotWanted',
  ],
  [
    'a branch that a glob matches gets one',
    {
      ...open,
      pullRequest: { ...open.pullRequest, baseBranch: 'release/1.2' },
      rules: { drafts: true, branches: ['main', 'release/*'] },
    },
    undefined,
  ],
  [
    'a change beside the paths gets none',
    {
      ...open,
      rules: { drafts: true, paths: ['app/**', 'deploy/**'] },
      changed: changed('docs/a.md', 'app.ts'),
    },
    'PathsNotWanted',
  ],
  [
    'one changed file among the paths is enough',
    { ...open, rules: { drafts: true, paths: ['app/**'] }, changed: changed('docs/a.md', 'app/.env/x/y.ts') },
    undefined,
  ],
  [
    'a change too large to be listed counts as matching',
    {
      ...open,
      rules: { drafts: true, paths: ['app/**'] },
      changed: { paths: ['docs/a.md'], complete: false },
    },
    undefined,
  ],
])('%s', (_title, question, reason) => {
  const decision = decidePullRequest(question);
  expect(decision.wanted ? undefined : decision.reason).toBe(reason);
});
