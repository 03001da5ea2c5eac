// The way from the service into an environment's virtual cluster, and the credentials that are handed to its users.
import type { KubeClient } from '../kube/client.ts';
import { createKubeClient } from '../kube/client.ts';
import type { KubeConnection } from '../kube/connection.ts';
import { isForbidden, isNotFound } from '../kube/errors.ts';
import { connectionFromKubeconfig } from '../kube/kubeconfig.ts';
import { type KubeObject, SECRETS, SERVICE_ACCOUNTS } from '../kube/resource.ts';
import { createTransport } from '../kube/transport.ts';
import type { Clock } from '../lib/clock.ts';
import { ConflictError } from '../lib/errors.ts';
import { findCondition, isConditionTrue } from './conditions.ts';
import { timeToExpiryMs } from './expiry.ts';
import type { Environment } from './resource.ts';

/** Who users are inside: the worker makes it, and makes it an administrator of the virtual cluster. */
export const USER_SERVICE_ACCOUNT = { namespace: 'kube-system', name: 'mayfly-user' };

/** The shortest and the longest that a token is asked for; the shortest is the API's own minimum. */
const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 24 * 60 * 60;

/** Certificates are renewed well before they end, so a copy of this age is good. */
const KEPT_MS = 5 * 60_000;
const MAX_KEPT = 1_000;

export interface UserToken {
  token: string;
  /** RFC 3339. */
  expiresAt: string;
}

/**
 * Every method rejects with `ConflictError` `NotProvisioned` while the environment has no control plane that answers, and with
 * what is known of the reason.
 */
export interface ClusterAccess {
  /**
   * As the administrator of the virtual cluster. The address comes from the environment's status alone, never from what
   * lies in the cluster.
   */
  connection(environment: Environment, signal: AbortSignal): Promise<KubeConnection>;
  /** A token for the cluster's user that ends no later than the environment, or in ten minutes if that is later. */
  issueUserToken(environment: Environment, signal: AbortSignal): Promise<UserToken>;
}

export interface ClusterAccessDeps {
  /** Of the host. */
  client: Pick<KubeClient, 'get'>;
  clock: Clock;
  /** Where the API of the cluster is reached from here. Default: its Service on the host. */
  serverOf?: (cluster: VirtualClusterAddress) => string;
}

export interface VirtualClusterAddress {
  cluster: string;
  hostNamespace: string;
}

interface KubeconfigSecret extends KubeObject {
  data?: { config?: string };
}

interface TokenRequest extends KubeObject {
  spec: { audiences: string[]; expirationSeconds: number };
  status?: { token: string; expirationTimestamp: string };
}

export function serviceServer({ cluster, hostNamespace }: VirtualClusterAddress): string {
  return `https://${cluster}.${hostNamespace}.svc:443`;
}

export function createClusterAccess({
  client,
  clock,
  serverOf = serviceServer,
}: ClusterAccessDeps): ClusterAccess {
  const kept = new Map<string, { connection: KubeConnection; atMs: number }>();

  async function connection(environment: Environment, signal: AbortSignal): Promise<KubeConnection> {
    const { uid = '' } = environment.metadata;
    const known = kept.get(uid);
    if (known && clock.monotonicMs() - known.atMs < KEPT_MS) return known.connection;

    const address = addressOf(environment);
    const name = { namespace: address.hostNamespace, name: `${address.cluster}-kubeconfig` };
    const secret = await readSecret(name, environment, signal);
    const { ca, cert, key, servername } = connectionFromKubeconfig(
      Buffer.from(secret.data?.config ?? '', 'base64').toString('utf8'),
    );
    const fresh = { server: serverOf(address), ca, cert, key, servername };
    kept.delete(uid);
    kept.set(uid, { connection: fresh, atMs: clock.monotonicMs() });
    const oldest = kept.keys().next();
    if (kept.size > MAX_KEPT && !oldest.done) kept.delete(oldest.value);
    return fresh;
  }

  async function readSecret(
    name: { namespace: string; name: string },
    environment: Environment,
    signal: AbortSignal,
  ): Promise<KubeconfigSecret> {
    try {
      return await client.get<KubeconfigSecret>(SECRETS, name, { signal });
    } catch (error) {
      // The worker lets the service read it only once it is there.
      if (isNotFound(error) || isForbidden(error)) throw notProvisioned(environment, error);
      throw error;
    }
  }

  return {
    connection,
    async issueUserToken(environment, signal) {
      if (!isConditionTrue(environment.status?.conditions, 'Provisioned')) throw notProvisioned(environment);
      const transport = createTransport(await connection(environment, signal), {
        process: 'server',
        maxConnections: 1,
      });
      try {
        const request: TokenRequest = {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: USER_SERVICE_ACCOUNT,
          spec: { audiences: [], expirationSeconds: tokenSeconds(environment, clock) },
        };
        const { status } = await createKubeClient(transport).create(SERVICE_ACCOUNTS, request, {
          subresource: 'token',
          name: USER_SERVICE_ACCOUNT.name,
          signal,
        });
        if (!status) throw notProvisioned(environment);
        return { token: status.token, expiresAt: status.expirationTimestamp };
      } catch (error) {
        if (isNotFound(error)) throw notProvisioned(environment, error);
        throw error;
      } finally {
        await transport.close();
      }
    },
  };
}

function tokenSeconds(environment: Environment, clock: Clock): number {
  const leftSeconds = Math.floor(timeToExpiryMs(environment, clock) / 1000);
  return Math.max(MIN_TOKEN_SECONDS, Math.min(leftSeconds, MAX_TOKEN_SECONDS));
}

function addressOf(environment: Environment): VirtualClusterAddress {
  const { metadata, status } = environment;
  if (!status?.host || metadata.deletionTimestamp) throw notProvisioned(environment);
  return { cluster: metadata.name ?? '', hostNamespace: status.host.namespace };
}

function notProvisioned({ metadata, status }: Environment, cause?: unknown): ConflictError {
  const provisioned = findCondition(status?.conditions, 'Provisioned');
  const reason = metadata.deletionTimestamp ? 'it is being torn down' : provisioned?.message;
  return new ConflictError({
    code: 'NotProvisioned',
    message: `Environment ${metadata.name} has no virtual cluster that answers${reason ? `: ${reason}` : ' yet'}`,
    cause,
  });
}
