// Creating, reading and deleting environments: for people and jobs through the API, and for pull requests through the sync job.
// Every method reads from the API server, so that who writes sees what he wrote.
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isInvalid, isNotFound } from '../kube/errors.ts';
import { apiVersionOf } from '../kube/resource.ts';
import type { Clock } from '../lib/clock.ts';
import { ConflictError, InvalidInputError, UnavailableError } from '../lib/errors.ts';
import { base32 } from '../lib/stable-hash.ts';
import { authorize, environmentNotFound, mayAccess, type Principal } from './authorize.ts';
import { extendedExpiry, firstExpiry, isExpired, type TtlLimits } from './expiry.ts';
import { generatedEnvironmentName, isEnvironmentName, pullRequestEnvironmentNames } from './names.ts';
import {
  ENVIRONMENTS,
  type Environment,
  type EnvironmentSpec,
  type ImageApp,
  type PullRequestSource,
  TEARDOWN_FINALIZER,
} from './resource.ts';

const REPOSITORY_ID_LABEL = 'mayfly.dev/repository-id';
const PULL_REQUEST_LABEL = 'mayfly.dev/pull-request';

/** How often an update is tried again because somebody else wrote in between. */
const CONFLICT_ATTEMPTS = 5;

export interface EnvironmentServiceDeps {
  client: Pick<KubeClient, 'get' | 'list' | 'create' | 'update' | 'delete'>;
  /** The service's own namespace on the host, where Environments live. */
  namespace: string;
  clock: Clock;
  limits: TtlLimits;
  /** Minor versions on offer, the default first. */
  kubernetesVersions: readonly [string, ...string[]];
}

export interface NewEnvironment {
  /** Generated when absent. */
  name?: string;
  app?: ImageApp;
  kubernetesVersion?: string;
  ttlMs?: number;
}

export interface PullRequestEnvironment {
  source: PullRequestSource;
  kubernetesVersion?: string;
  /** Cut to what the service allows. */
  ttlMs?: number;
}

export type PullRequestId = Pick<PullRequestSource, 'repositoryId' | 'number'>;

/**
 * Everything rejects with `KubeError` or `UnavailableError` when the API server refuses or does not answer, and with the
 * signal's reason when aborted. An environment that the principal may not access is one that does not exist.
 */
export interface EnvironmentService {
  /**
   * Asking again for the same is answered with what is there (`created: false`); the time to live is not compared.
   * @throws InvalidInputError `InvalidName`, `TtlTooLong`, `UnknownKubernetesVersion`, `InvalidEnvironment`
   * @throws ConflictError `NameTaken` when the name is another's or means something else, `EnvironmentTerminating`
   */
  create(
    principal: Principal,
    wanted: NewEnvironment,
    signal: AbortSignal,
  ): Promise<{ environment: Environment; created: boolean }>;
  /** @throws NotFoundError `EnvironmentNotFound` */
  get(principal: Principal, name: string, signal: AbortSignal): Promise<Environment>;
  /** Those that the principal may access, by name. */
  list(principal: Principal, signal: AbortSignal): Promise<Environment[]>;
  /**
   * Begins the teardown, or leaves one that has begun to go on; resolves with the environment as it was before.
   * @throws NotFoundError `EnvironmentNotFound`
   */
  delete(principal: Principal, name: string, signal: AbortSignal): Promise<Environment>;
  /**
   * Creates the pull request's environment or moves it to another commit, which also extends its life. Found by the
   * repository's id, so a renamed repository keeps it.
   * @throws UnavailableError `EnvironmentTerminating` while a previous one is being torn down: try again later
   */
  upsertForPullRequest(wanted: PullRequestEnvironment, signal: AbortSignal): Promise<Environment>;
  /** Resolves with what is being torn down; with nothing when the pull request has no environment. */
  deleteForPullRequest(id: PullRequestId, signal: AbortSignal): Promise<Environment[]>;
  /** Deletes it if it has expired and nobody has changed it since it was read here, so an extension wins. */
  deleteIfExpired(name: string, signal: AbortSignal): Promise<boolean>;
}

export function createEnvironmentService({
  client,
  namespace,
  clock,
  limits,
  kubernetesVersions,
}: EnvironmentServiceDeps): EnvironmentService {
  async function find(name: string, signal: AbortSignal): Promise<Environment | undefined> {
    if (!isEnvironmentName(name)) return undefined;
    try {
      return await client.get<Environment>(ENVIRONMENTS, { namespace, name }, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function getAuthorized(
    principal: Principal,
    name: string,
    signal: AbortSignal,
  ): Promise<Environment> {
    const environment = await find(name, signal);
    if (!environment) throw environmentNotFound(name);
    authorize(principal, environment);
    return environment;
  }

  /** Undefined when the name is taken. */
  async function tryCreate(
    name: string,
    spec: EnvironmentSpec,
    signal: AbortSignal,
  ): Promise<Environment | undefined> {
    const labels = spec.pullRequest ? labelsOf(spec.pullRequest) : undefined;
    const environment: Environment = {
      apiVersion: apiVersionOf(ENVIRONMENTS),
      kind: ENVIRONMENTS.kind,
      metadata: { name, namespace, labels, finalizers: [TEARDOWN_FINALIZER] },
      spec,
    };
    try {
      return await client.create(ENVIRONMENTS, environment, { signal });
    } catch (error) {
      if (isAlreadyExists(error)) return undefined;
      if (isInvalid(error)) throw invalidEnvironment(error);
      throw error;
    }
  }

  async function beginTeardown(
    { metadata }: Environment,
    signal: AbortSignal,
    guard: { resourceVersion?: string } = {},
  ): Promise<void> {
    const { name = '', uid } = metadata;
    const preconditions = { uid, ...guard };
    try {
      await client.delete(ENVIRONMENTS, { namespace, name }, { signal, preconditions });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async function findForPullRequest(id: PullRequestId, signal: AbortSignal): Promise<Environment[]> {
    const labelSelector = Object.entries(labelsOf(id))
      .map(([label, value]) => `${label}=${value}`)
      .join(',');
    const { items } = await client.list<Environment>(ENVIRONMENTS, { namespace, labelSelector, signal });
    return items.filter(({ spec }) => isSamePullRequest(spec.pullRequest, id));
  }

  async function createForPullRequest(
    { source, kubernetesVersion, ttlMs = limits.defaultTtlMs }: PullRequestEnvironment,
    signal: AbortSignal,
  ): Promise<Environment> {
    const spec: EnvironmentSpec = {
      owner: ownerOf(source),
      pullRequest: source,
      kubernetesVersion: versionOnOffer(kubernetesVersion, kubernetesVersions),
      expiresAt: firstExpiry(Math.min(ttlMs, limits.maxTtlMs, limits.maxLifetimeMs), limits, clock),
    };
    for (const name of pullRequestEnvironmentNames(source)) {
      const created = await tryCreate(name, spec, signal);
      if (created) return created;
      const existing = await find(name, signal);
      if (existing && isSamePullRequest(existing.spec.pullRequest, source)) return existing;
    }
    throw new UnavailableError({
      code: 'NameTaken',
      message: `Every name for ${source.repository}#${source.number} is taken`,
    });
  }

  return {
    async create(principal, wanted, signal) {
      const name = wanted.name ?? generatedEnvironmentName(base32(randomBytes(5)));
      if (!isEnvironmentName(name)) throw invalidName(name);
      const spec: EnvironmentSpec = {
        owner: principal.id,
        app: wanted.app,
        kubernetesVersion: versionOnOffer(wanted.kubernetesVersion, kubernetesVersions),
        expiresAt: firstExpiry(wanted.ttlMs, limits, clock),
      };
      const created = await tryCreate(name, spec, signal);
      if (created) return { environment: created, created: true };

      const existing = await find(name, signal);
      if (!existing || !isSameRequest(existing.spec, spec)) throw nameTaken(name);
      if (existing.metadata.deletionTimestamp) throw new ConflictError(terminating(name));
      return { environment: existing, created: false };
    },

    get: getAuthorized,

    async list(principal, signal) {
      const { items } = await client.list<Environment>(ENVIRONMENTS, { namespace, signal });
      return items.filter((environment) => mayAccess(principal, environment));
    },

    async delete(principal, name, signal) {
      const environment = await getAuthorized(principal, name, signal);
      if (!environment.metadata.deletionTimestamp) await beginTeardown(environment, signal);
      return environment;
    },

    async upsertForPullRequest(wanted, signal) {
      const { source } = wanted;
      for (let attempt = 1; ; attempt++) {
        const [found] = await findForPullRequest(source, signal);
        const existing = found ?? (await createForPullRequest(wanted, signal));
        const { name = '', deletionTimestamp } = existing.metadata;
        if (deletionTimestamp) throw new UnavailableError(terminating(name));
        if (isDeepStrictEqual(existing.spec.pullRequest, source)) return existing;

        const isPush = existing.spec.pullRequest?.commit !== source.commit;
        const spec: EnvironmentSpec = {
          ...existing.spec,
          pullRequest: source,
          expiresAt: isPush ? extendedExpiry(existing, wanted.ttlMs, limits, clock) : existing.spec.expiresAt,
        };
        try {
          return await client.update<Environment>(ENVIRONMENTS, { ...existing, spec }, { signal });
        } catch (error) {
          if (!isConflict(error) || attempt === CONFLICT_ATTEMPTS) throw error;
        }
      }
    },

    async deleteForPullRequest(id, signal) {
      const environments = await findForPullRequest(id, signal);
      for (const environment of environments) {
        if (!environment.metadata.deletionTimestamp) await beginTeardown(environment, signal);
      }
      return environments;
    },

    async deleteIfExpired(name, signal) {
      const environment = await find(name, signal);
      if (!environment || environment.metadata.deletionTimestamp || !isExpired(environment, clock))
        return false;
      const { resourceVersion } = environment.metadata;
      try {
        await beginTeardown(environment, signal, { resourceVersion });
        return true;
      } catch (error) {
        if (isConflict(error)) return false;
        throw error;
      }
    },
  };
}

function labelsOf({ repositoryId, number }: PullRequestId): Record<string, string> {
  return { [REPOSITORY_ID_LABEL]: String(repositoryId), [PULL_REQUEST_LABEL]: String(number) };
}

/** By the name at creation: the owner never changes. */
function ownerOf({ repository }: PullRequestSource): string {
  return `github:${repository}`;
}

/** Labels can be edited by anybody who may label; the spec decides. */
function isSamePullRequest(
  source: PullRequestSource | undefined,
  { repositoryId, number }: PullRequestId,
): boolean {
  return source?.repositoryId === repositoryId && source.number === number;
}

function isSameRequest(existing: EnvironmentSpec, wanted: EnvironmentSpec): boolean {
  return (
    existing.owner === wanted.owner &&
    existing.pullRequest === undefined &&
    existing.kubernetesVersion === wanted.kubernetesVersion &&
    isDeepStrictEqual(existing.app, wanted.app)
  );
}

function versionOnOffer(wanted: string | undefined, onOffer: readonly [string, ...string[]]): string {
  const version = wanted ?? onOffer[0];
  if (onOffer.includes(version)) return version;
  throw new InvalidInputError({
    code: 'UnknownKubernetesVersion',
    message: `Kubernetes ${version} is not on offer; there is ${onOffer.join(', ')}`,
  });
}

function nameTaken(name: string): ConflictError {
  return new ConflictError({ code: 'NameTaken', message: `The name ${name} is taken` });
}

function terminating(name: string) {
  return { code: 'EnvironmentTerminating', message: `Environment ${name} is being torn down` };
}

function invalidName(name: string): InvalidInputError {
  return new InvalidInputError({
    code: 'InvalidName',
    message: `${JSON.stringify(name)} is no name for an environment: lower-case letters, digits and hyphens, beginning with a letter, at most 40`,
  });
}

function invalidEnvironment(cause: unknown): InvalidInputError {
  const message = cause instanceof Error ? cause.message : 'the environment is not valid';
  return new InvalidInputError({ code: 'InvalidEnvironment', message, cause });
}
