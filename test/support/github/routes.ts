// The endpoints of GitHub's REST API that the test GitHub answers, each named by its operation in the description.
import { randomUUID } from 'node:crypto';
import type { AppCredentials } from './app-credentials.ts';
import type { Bodies } from './bodies.ts';
import type { Comment, PullRequest, Repository, State } from './state.ts';

export interface RouteRequest {
  /** Values of the braces of the operation, decoded. */
  parameters: Record<string, string>;
  query: URLSearchParams;
  authorization: string | undefined;
  /** Parsed JSON, undefined without a body. */
  body: unknown;
  /** `http://host:port` as the client calls it. */
  origin: string;
}

export interface RouteResponse {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}

export interface Route {
  operation: string;
  as: 'app' | 'installation';
  handle(request: RouteRequest): RouteResponse | Promise<RouteResponse>;
}

export interface Installation {
  id: number;
  state: 'active' | 'suspended' | 'removed';
}

export interface RouteDeps {
  state: State;
  bodies: Bodies;
  credentials: AppCredentials;
  installation: Installation;
  /** Addresses of archives that were asked for: each is good for one download. */
  downloads: Map<string, { repository: Repository; commit: string }>;
}

export function createRoutes({ state, bodies, credentials, installation, downloads }: RouteDeps): Route[] {
  /** What `name` names, or the answer to give instead. */
  const withRepository =
    (handle: (repository: Repository, request: RouteRequest) => RouteResponse | Promise<RouteResponse>) =>
    (request: RouteRequest) => {
      const { owner = '', repo = '' } = request.parameters;
      const repository = state.repositories.find(({ fullName }) => fullName === `${owner}/${repo}`);
      return repository?.installed ? handle(repository, request) : notFound();
    };
  const pullOf = (repository: Repository, number: string | undefined): PullRequest | undefined =>
    state.pullRequests.find(
      (pull) => pull.repository === repository && String(pull.number) === number && !pull.deleted,
    );
  const commentOf = (repository: Repository, id: string | undefined): Comment | undefined =>
    state.comments.find((comment) => comment.repositoryId === repository.id && String(comment.id) === id);

  return [
    {
      operation: 'POST /app/installations/{installation_id}/access_tokens',
      as: 'app',
      handle({ parameters }) {
        if (parameters.installation_id !== String(installation.id) || installation.state === 'removed')
          return notFound();
        if (installation.state === 'suspended') return refusal(403, 'This installation has been suspended');
        return { status: 201, body: bodies.installationToken(credentials.issueToken()) };
      },
    },
    {
      operation: 'GET /installation/repositories',
      as: 'installation',
      handle(request) {
        const all = state.repositories.filter(({ installed }) => installed);
        const { items, headers } = page(all, request, '/installation/repositories');
        return {
          status: 200,
          headers,
          body: { total_count: all.length, repositories: items.map(bodies.repository) },
        };
      },
    },
    {
      operation: 'GET /repos/{owner}/{repo}/pulls/{pull_number}',
      as: 'installation',
      handle: withRepository((repository, { parameters }) => {
        const pull = pullOf(repository, parameters.pull_number);
        return pull ? { status: 200, body: bodies.pullRequest(pull) } : notFound();
      }),
    },
    {
      operation: 'GET /repos/{owner}/{repo}/pulls/{pull_number}/files',
      as: 'installation',
      handle: withRepository(async (repository, request) => {
        const pull = pullOf(repository, request.parameters.pull_number);
        if (!pull) return notFound();
        const files = await repository.storage.changedFiles(pull.baseCommit, pull.headCommit);
        const path = `/repos/${repository.fullName}/pulls/${pull.number}/files`;
        const { items, headers } = page(files, request, path);
        return { status: 200, headers, body: items.map(bodies.changedFile) };
      }),
    },
    {
      operation: 'GET /repos/{owner}/{repo}/contents/{path}',
      as: 'installation',
      handle: withRepository(async ({ storage }, { parameters: { path = '' }, query }) => {
        const commit = await storage.resolve(query.get('ref') ?? 'refs/heads/main');
        const entry = commit === undefined ? undefined : await storage.readEntry(commit, path);
        if (!entry) return notFound();
        const body = bodies.content(path, entry);
        return { status: 200, body: entry.type === 'dir' ? [] : body };
      }),
    },
    {
      operation: 'GET /repos/{owner}/{repo}/tarball/{ref}',
      as: 'installation',
      handle: withRepository(async (repository, { parameters: { ref = '' }, origin }) => {
        const commit = await repository.storage.resolve(ref);
        if (commit === undefined) return notFound();
        const path = `/codeload/${randomUUID()}`;
        downloads.set(path, { repository, commit });
        return { status: 302, headers: { location: `${origin}${path}` } };
      }),
    },
    {
      operation: 'GET /repos/{owner}/{repo}/issues/{issue_number}/comments',
      as: 'installation',
      handle: withRepository((repository, request) => {
        const pull = pullOf(repository, request.parameters.issue_number);
        if (!pull) return notFound();
        const path = `/repos/${repository.fullName}/issues/${pull.number}/comments`;
        const { items, headers } = page(commentsOf(state, pull), request, path);
        return { status: 200, headers, body: items.map((comment) => bodies.comment(comment, repository)) };
      }),
    },
    {
      operation: 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
      as: 'installation',
      handle: withRepository((repository, { parameters, body }) => {
        const pull = pullOf(repository, parameters.issue_number);
        if (!pull) return notFound();
        const text = textOf(body);
        if (text === undefined) return refusal(422, 'Validation Failed');
        const comment = addComment(state, pull, undefined, text);
        return { status: 201, body: bodies.comment(comment, repository) };
      }),
    },
    {
      operation: 'GET /repos/{owner}/{repo}/issues/comments/{comment_id}',
      as: 'installation',
      handle: withRepository((repository, { parameters }) => {
        const comment = commentOf(repository, parameters.comment_id);
        return comment ? { status: 200, body: bodies.comment(comment, repository) } : notFound();
      }),
    },
    {
      operation: 'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}',
      as: 'installation',
      handle: withRepository((repository, { parameters, body }) => {
        const comment = commentOf(repository, parameters.comment_id);
        const text = textOf(body);
        if (!comment) return notFound();
        if (comment.author !== undefined) return refusal(403, 'Resource not accessible by integration');
        if (text === undefined) return refusal(422, 'Validation Failed');
        comment.body = text;
        comment.updates++;
        return { status: 200, body: bodies.comment(comment, repository) };
      }),
    },
  ];
}

export function commentsOf(state: State, { repository, number }: PullRequest): Comment[] {
  return state.comments.filter(
    (comment) => comment.repositoryId === repository.id && comment.number === number,
  );
}

export function addComment(
  state: State,
  { repository, number }: PullRequest,
  author: string | undefined,
  body: string,
): Comment {
  const createdAt = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const comment = {
    id: state.newId(),
    repositoryId: repository.id,
    number,
    body,
    author,
    createdAt,
    updates: 0,
  };
  state.comments.push(comment);
  return comment;
}

export function notFound(): RouteResponse {
  return refusal(404, 'Not Found');
}

export function refusal(status: number, message: string): RouteResponse {
  return {
    status,
    body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status) },
  };
}

/** GitHub refuses comments that are empty or longer than 65536 characters. */
function textOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('body' in body)) return undefined;
  return typeof body.body === 'string' && body.body !== '' && body.body.length <= 65_536
    ? body.body
    : undefined;
}

function page<T>(
  all: readonly T[],
  { query, origin }: RouteRequest,
  path: string,
): { items: T[]; headers: Record<string, string> } {
  const size = Math.min(100, Math.max(1, Number(query.get('per_page') ?? 30)));
  const number = Math.max(1, Number(query.get('page') ?? 1));
  const last = Math.max(1, Math.ceil(all.length / size));
  const link = (target: number, rel: string) =>
    `<${origin}${path}?per_page=${size}&page=${target}>; rel="${rel}"`;
  const links = number < last ? [link(number + 1, 'next'), link(last, 'last')] : [];
  return {
    items: all.slice((number - 1) * size, number * size),
    headers: links.length === 0 ? {} : { link: links.join(', ') },
  };
}
