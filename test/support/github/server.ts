// The HTTP side of the test GitHub: finds the route, checks who calls, lets faults happen, and holds every answer against
// GitHub's description before it leaves.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { AppCredentials } from './app-credentials.ts';
import type { Description } from './description.ts';
import type { Fault, Faults } from './faults.ts';
import {
  notFound,
  type Route,
  type RouteDeps,
  type RouteRequest,
  type RouteResponse,
  refusal,
} from './routes.ts';
import type { State } from './state.ts';

export interface SeenRequest {
  method: string;
  /** Without the query. */
  path: string;
  status: number;
}

export interface GitHubServerDeps {
  routes: readonly Route[];
  state: State;
  credentials: AppCredentials;
  downloads: RouteDeps['downloads'];
  faults: Faults;
  description: Description;
  /** Gets every request with its answer. */
  onRequest(request: SeenRequest): void;
  /** Gets everything that GitHub would not have done. */
  onProblem(problem: string): void;
}

export function createGitHubServer(deps: GitHubServerDeps): Server {
  const matchers = deps.routes.map((route) => ({ route, match: operationMatcher(route.operation) }));

  const find = (method: string, path: string) => {
    for (const { route, match } of matchers) {
      const parameters = match(method, path);
      if (parameters) return { route, parameters };
    }
    return undefined;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const method = request.method ?? 'GET';
    const origin = `http://${request.headers.host}`;
    const url = new URL(request.url ?? '/', origin);
    const download = deps.downloads.get(url.pathname);
    const fault = deps.faults.take({ method, path: url.pathname });
    const seen = (status: number) => deps.onRequest({ method, path: url.pathname, status });

    if (fault && !fault.carriedOut) {
      seen(Number(fault.status));
      return sendFault(response, fault);
    }
    if (download) {
      if (request.headers.authorization)
        deps.onProblem('a credential was sent with the download of an archive');
      deps.downloads.delete(url.pathname);
      seen(200);
      const { repository, commit } = download;
      const prefix = `${repository.fullName.replace('/', '-')}-${commit.slice(0, 7)}`;
      response.writeHead(200, { 'content-type': 'application/x-gzip' });
      return await pipeline(repository.storage.archive(commit, prefix), response);
    }
    const moved = movedPath(deps.state, url.pathname);
    if (moved) {
      const location = `${origin}${moved}${url.search}`;
      seen(301);
      return send(response, { ...refusal(301, 'Moved Permanently'), headers: { location } });
    }
    const found = find(method, currentPath(deps.state, url.pathname));
    if (!found) {
      seen(404);
      return send(response, notFound());
    }
    const body = await text(request);
    const result = await handle(found.route, {
      parameters: found.parameters,
      query: url.searchParams,
      authorization: request.headers.authorization,
      body: body === '' ? undefined : JSON.parse(body),
      origin,
    });
    const problem = deps.description.responseProblem({
      operation: found.route.operation,
      status: result.status,
      body: result.body,
    });
    if (problem !== undefined) deps.onProblem(`${found.route.operation} ${result.status}: ${problem}`);
    seen(fault ? Number(fault.status) : result.status);
    return fault ? sendFault(response, fault) : send(response, result);
  };

  const handle = async (route: Route, request: RouteRequest): Promise<RouteResponse> => {
    const isKnown =
      route.as === 'app'
        ? await deps.credentials.isApp(request.authorization)
        : deps.credentials.isInstallation(request.authorization);
    return isKnown ? await route.handle(request) : refusal(401, 'Bad credentials');
  };

  return createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      deps.onProblem(`${request.method} ${request.url}: ${error}`);
      response.destroy();
    });
  });
}

function send(response: ServerResponse, { status, headers, body }: RouteResponse): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function sendFault(response: ServerResponse, { status, headers, message = 'Server Error' }: Fault): void {
  if (status === 'dropped') response.destroy();
  else send(response, { ...refusal(status, message), headers });
}

/** `{path}` and `{ref}` may hold slashes. */
function operationMatcher(
  operation: string,
): (method: string, path: string) => Record<string, string> | null {
  const [wantedMethod = '', template = ''] = operation.split(' ');
  const source = template.replace(/\{(\w+)\}/g, (_, name: string) =>
    name === 'path' || name === 'ref' ? `(?<${name}>.+)` : `(?<${name}>[^/]+)`,
  );
  const pattern = new RegExp(`^${source}$`);
  return (method, path) => {
    const match = method === wantedMethod ? pattern.exec(path) : null;
    return (
      match &&
      Object.fromEntries(
        Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
      )
    );
  };
}

/** `/repositories/ID/...` for a name that a repository had before and that no other has now. */
function movedPath({ repositories }: State, path: string): string | undefined {
  const [, fullName = '', rest = ''] = /^\/repos\/([^/]+\/[^/]+)(.*)$/.exec(path) ?? [];
  if (repositories.some((repository) => repository.fullName === fullName)) return undefined;
  const moved = repositories.find(
    ({ formerNames, installed }) => installed && formerNames.includes(fullName),
  );
  return moved && `/repositories/${moved.id}${rest}`;
}

function currentPath({ repositories }: State, path: string): string {
  const [, id, rest = ''] = /^\/repositories\/(\d+)(.*)$/.exec(path) ?? [];
  const repository = repositories.find((candidate) => String(candidate.id) === id);
  return repository ? `/repos/${repository.fullName}${rest}` : path;
}
