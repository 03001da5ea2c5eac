// State as GitHub writes it: the published example of each schema, with the state's own values in their places.
import type { Description, JsonObject } from './description.ts';
import type { TreeEntry } from './repository-storage.ts';
import type { Comment, PullRequest, Repository } from './state.ts';

const EXAMPLE_REPOSITORY = 'octocat/Hello-World';

export interface Bodies {
  repository(repository: Repository): JsonObject;
  pullRequest(pull: PullRequest): JsonObject;
  comment(comment: Comment, repository: Repository): JsonObject;
  changedFile(file: { status: string; path: string }): JsonObject;
  content(path: string, entry: TreeEntry): JsonObject;
  installationToken(token: { token: string; expiresAt: string }): JsonObject;
}

export function createBodies(description: Description, appId: number): Bodies {
  /** The example, about another repository. */
  const about = (name: string, repository: Repository | undefined): JsonObject =>
    asObject(
      JSON.parse(
        JSON.stringify(firstOf(description.example(name))).replaceAll(
          EXAMPLE_REPOSITORY,
          repository?.fullName ?? EXAMPLE_REPOSITORY,
        ),
      ),
    );
  const user = (login: string) => ({ ...asObject(about('issue-comment', undefined).user), login });

  const repository = (state: Repository): JsonObject => {
    const [owner = '', name = ''] = state.fullName.split('/');
    const [example] = asArray(about('repository-paginated', state).repositories);
    return { ...asObject(example), ...fixedFields(state), name, owner: user(owner) };
  };
  const side = (example: unknown, state: Repository | undefined, ref: string, sha: string): JsonObject => {
    const [owner = '', name = ''] = state?.fullName.split('/') ?? [];
    const body = asObject(example);
    const repo = state ? { ...asObject(body.repo), ...fixedFields(state), name, owner: user(owner) } : null;
    return { ...body, label: `${owner}:${ref}`, ref, sha, repo, user: user(owner) };
  };

  return {
    repository,
    pullRequest(pull) {
      const body = about('pull-request', pull.repository);
      const closedAt = pull.state === 'closed' ? new Date().toISOString().replace(/\.\d+Z$/, 'Z') : null;
      const [label] = asArray(body.labels);
      return {
        ...body,
        id: pull.id,
        number: pull.number,
        title: pull.title,
        state: pull.state,
        locked: false,
        draft: pull.draft,
        user: user(pull.author),
        labels: pull.labels.map((name) => ({ ...asObject(label), name })),
        requested_reviewers: [],
        requested_teams: [],
        merged: pull.merged,
        merged_at: pull.merged ? closedAt : null,
        closed_at: closedAt,
        head: side(body.head, pull.headRepository, pull.branch, pull.headCommit),
        base: side(body.base, pull.repository, pull.baseBranch, pull.baseCommit),
      };
    },
    comment: (state, repo) => ({
      ...about('issue-comment', repo),
      id: state.id,
      body: state.body,
      user: state.author === undefined ? { ...user('mayfly[bot]'), type: 'Bot' } : user(state.author),
      created_at: state.createdAt,
      performed_via_github_app:
        state.author === undefined ? { ...asObject(description.example('integration')), id: appId } : null,
    }),
    changedFile: ({ status, path }) => ({
      ...about('diff-entry-items', undefined),
      filename: path,
      status: status === 'A' ? 'added' : status === 'D' ? 'removed' : 'modified',
    }),
    content: (path, { type, sha, content }) => ({
      ...about('content-file-response-if-content-is-a-file', undefined),
      ...(type === 'symlink' ? { target: content.toString() } : {}),
      type,
      sha,
      path,
      name: path.split('/').at(-1) ?? path,
      size: content.byteLength,
      content: content.toString('base64').replace(/.{60}/g, '$&\n'),
    }),
    installationToken: ({ token, expiresAt }) => ({
      token,
      expires_at: expiresAt,
      permissions: { contents: 'read', issues: 'write', metadata: 'read', pull_requests: 'write' },
      repository_selection: 'selected',
    }),
  };
}

function fixedFields({ id, fullName }: Repository): JsonObject {
  return { id, full_name: fullName, default_branch: 'main', html_url: `https://github.com/${fullName}` };
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value;
}

function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function asObject(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('the example is no object');
  return { ...value };
}
