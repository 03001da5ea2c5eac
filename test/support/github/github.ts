// A GitHub that tests run: it keeps real git repositories, pull requests and comments, answers the REST API as described,
// fails when told to, and sends signed deliveries. `await using github = await startGitHub()` ends it, and fails the test
// when anything it sent was not what GitHub would have sent.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAppCredentials } from './app-credentials.ts';
import { createBodies } from './bodies.ts';
import {
  createDeliveries,
  type Deliveries,
  type DeliveryOptions,
  type DeliveryResult,
} from './deliveries.ts';
import { githubDescription } from './description.ts';
import { createFaults, type Faults } from './faults.ts';
import { createRepositoryStorage, type Files } from './repository-storage.ts';
import { addComment, commentsOf, createRoutes, type Installation, type RouteDeps } from './routes.ts';
import { createGitHubServer, type SeenRequest } from './server.ts';
import { type Comment, createState, type PullRequest, type Repository } from './state.ts';

export interface GitHubOptions {
  /** Address to listen on; one that pods reach for end-to-end tests. */
  host?: string;
  /** Absent: a free one. */
  port?: number;
}

export interface PullRequestOptions {
  repository: Repository;
  files: Files;
  title?: string;
  branch?: string;
  baseBranch?: string;
  draft?: boolean;
  labels?: string[];
  /** From a fork of another owner. */
  fork?: boolean;
}

export interface TestGitHub extends AsyncDisposable {
  /** Base of the REST API. */
  url: string;
  appId: number;
  privateKey: string;
  webhookSecret: string;
  installation: Installation;
  faults: Faults;
  deliveries: Deliveries;
  /** Every request so far, in order. */
  requests: readonly SeenRequest[];
  /** `acme/shop`, with one commit on `main`. */
  createRepository(fullName: string, files: Files): Promise<Repository>;
  renameRepository(repository: Repository, fullName: string): void;
  openPullRequest(options: PullRequestOptions): Promise<PullRequest>;
  /** Another commit on the pull request's branch. @returns its id. */
  push(pull: PullRequest, files: Files): Promise<string>;
  close(pull: PullRequest, options?: { merged?: boolean }): Promise<void>;
  reopen(pull: PullRequest): void;
  comments(pull: PullRequest): Comment[];
  /** As somebody else than the app. */
  addComment(pull: PullRequest, author: string, body: string): Comment;
  deleteComment(comment: Comment): void;
  expireTokens(): void;
  /** Sends `pull_request` with this action about the pull request as it is now. */
  deliver(action: string, pull: PullRequest, options: DeliveryOptions): Promise<DeliveryResult>;
  /** @throws Error listing every answer that was not as described. */
  stop(): Promise<void>;
}

export async function startGitHub({ host = '127.0.0.1', port = 0 }: GitHubOptions = {}): Promise<TestGitHub> {
  const folder = await mkdtemp(join(tmpdir(), 'github-'));
  const description = githubDescription();
  const state = createState();
  const credentials = createAppCredentials(state.newId());
  const installation: Installation = { id: state.newId(), state: 'active' };
  const bodies = createBodies(description, credentials.appId);
  const faults = createFaults();
  const webhookSecret = randomBytes(24).toString('hex');
  const downloads: RouteDeps['downloads'] = new Map();
  const requests: SeenRequest[] = [];
  const problems: string[] = [];

  const server = createGitHubServer({
    routes: createRoutes({ state, bodies, credentials, installation, downloads }),
    state,
    credentials,
    downloads,
    faults,
    description,
    onRequest: (request) => requests.push(request),
    onProblem: (problem) => problems.push(problem),
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');

  const deliveries = createDeliveries({
    description,
    bodies,
    secret: webhookSecret,
    appId: credentials.appId,
    installationId: installation.id,
  });

  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`not what GitHub does:\n${problems.join('\n')}`);
  };

  return {
    url: `http://${host}:${address.port}`,
    appId: credentials.appId,
    privateKey: credentials.privateKey,
    webhookSecret,
    installation,
    faults,
    deliveries,
    requests,
    async createRepository(fullName, files) {
      const id = state.newId();
      const storage = await createRepositoryStorage(join(folder, String(id)));
      await storage.commit({ branch: 'main', files, message: 'Begin' });
      const repository: Repository = {
        id,
        fullName,
        formerNames: [],
        installed: true,
        storage,
        nextNumber: 1,
      };
      state.repositories.push(repository);
      return repository;
    },
    renameRepository(repository, fullName) {
      repository.formerNames.push(repository.fullName);
      repository.fullName = fullName;
    },
    async openPullRequest({ repository, files, fork = false, baseBranch = 'main', ...options }) {
      const number = repository.nextNumber++;
      const branch = options.branch ?? `change-${number}`;
      const baseCommit = await repository.storage.resolve(`refs/heads/${baseBranch}`);
      if (baseCommit === undefined) throw new Error(`${repository.fullName} has no branch ${baseBranch}`);
      const title = options.title ?? `Change ${number}`;
      const headCommit = await repository.storage.commit({
        branch,
        parent: baseCommit,
        files,
        message: title,
      });
      const pull: PullRequest = {
        id: state.newId(),
        number,
        repository,
        headRepository: fork
          ? { ...repository, id: state.newId(), fullName: `stranger/${repository.fullName.split('/')[1]}` }
          : repository,
        title,
        author: fork ? 'stranger' : 'octocat',
        branch,
        baseBranch,
        baseCommit,
        headCommit,
        state: 'open',
        merged: false,
        draft: options.draft ?? false,
        labels: options.labels ?? [],
        deleted: false,
      };
      state.pullRequests.push(pull);
      return pull;
    },
    async push(pull, files) {
      const { repository, branch, headCommit, title } = pull;
      pull.headCommit = await repository.storage.commit({
        branch,
        parent: headCommit,
        files,
        message: title,
      });
      return pull.headCommit;
    },
    async close(pull, { merged = false } = {}) {
      const { repository, baseBranch, headCommit, number } = pull;
      if (merged) {
        const message = `Merge pull request #${number}`;
        await repository.storage.commit({ branch: baseBranch, parent: headCommit, files: {}, message });
      }
      pull.state = 'closed';
      pull.merged = merged;
    },
    reopen(pull) {
      pull.state = 'open';
    },
    comments: (pull) => commentsOf(state, pull),
    addComment: (pull, author, body) => addComment(state, pull, author, body),
    deleteComment(comment) {
      state.comments = state.comments.filter((candidate) => candidate !== comment);
    },
    expireTokens: () => credentials.expireTokens(),
    deliver: (action, pull, options) =>
      deliveries.send('pull_request', deliveries.pullRequest(action, pull), options),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
