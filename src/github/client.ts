// GitHub as one of the app's installations sees it. Everything in this folder that talks to GitHub takes such a client.
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import type { Clock } from '../lib/clock.ts';
import { ForbiddenError, NotFoundError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { createRequestPolicy, type RequestPolicyDeps } from './request-policy.ts';
import { createWriteGate } from './write-gate.ts';

/** Code of the ForbiddenError of every call for an installation that was removed or suspended. */
export const INSTALLATION_NOT_ACCESSIBLE = 'InstallationNotAccessible';

const MAX_CLIENTS = 1_000;

export interface GitHubDeps {
  appId: number;
  /** PEM, as GitHub hands it out. */
  privateKey: string;
  /** REST base: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise Server. No trailing slash. */
  baseUrl: string;
  clock: Clock;
  logger: Logger;
}

export interface GitHub {
  /** The client of one installation; the same one each time, since it spaces the installation's writes. */
  installation(installationId: number): GitHubClient;
}

export interface GitHubClient {
  appId: number;
  baseUrl: string;
  clock: Clock;
  /** Pass `request: { signal }` with each call. Throws only classes of src/lib/errors.ts. */
  octokit: Octokit;
}

export function createGitHub({ appId, privateKey, baseUrl, clock, logger }: GitHubDeps): GitHub {
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message: string) => logger.warn(message),
    error: (message: string) => logger.error(message),
  };
  /** The policy goes in as an authentication strategy: hooks that come later cannot change a request's headers. */
  const createOctokit = (authorization: RequestPolicyDeps['authorization']): Octokit => {
    const hook = createRequestPolicy({ clock, logger, gate: createWriteGate(clock), authorization });
    return new Octokit({ baseUrl, userAgent: 'mayfly', log, authStrategy: () => ({ hook }) });
  };
  const appOctokit = createOctokit(async () => `bearer ${(await appAuth({ type: 'app' })).token}`);
  const appAuth = createAppAuth({ appId, privateKey, request: appOctokit.request, log });
  const installationToken = async (installationId: number, refresh: boolean): Promise<string> => {
    try {
      return (await appAuth({ type: 'installation', installationId, refresh })).token;
    } catch (error) {
      // Answers about the installation must not be taken for answers about what was asked with its token.
      if (error instanceof NotFoundError || error instanceof ForbiddenError) {
        throw new ForbiddenError({
          code: INSTALLATION_NOT_ACCESSIBLE,
          message: `installation ${installationId} of the app was removed or suspended`,
          cause: error,
        });
      }
      throw error;
    }
  };
  const clients = new Map<number, GitHubClient>();

  const createClient = (installationId: number): GitHubClient => ({
    appId,
    baseUrl,
    clock,
    octokit: createOctokit(async ({ renew }) => `token ${await installationToken(installationId, renew)}`),
  });

  return {
    installation(installationId) {
      const known = clients.get(installationId);
      const client = known ?? createClient(installationId);
      clients.delete(installationId);
      clients.set(installationId, client);
      const [oldest] = clients.keys();
      if (clients.size > MAX_CLIENTS && oldest !== undefined) clients.delete(oldest);
      return client;
    },
  };
}
