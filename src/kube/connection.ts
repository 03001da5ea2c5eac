// Where an API server is and how to authenticate to it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../lib/clock.ts';
import { InvalidInputError } from '../lib/errors.ts';
import { urlHost } from '../lib/ip-address.ts';

export interface KubeConnection {
  /** `https://host:port`, perhaps with a base path. Plain `http` is for a server on the loopback interface. */
  server: string;
  /** Who may sign the server's certificate, PEM. Absent: the certificates that Node trusts. */
  ca?: string;
  /** The client certificate, PEM, with its `key`. */
  cert?: string;
  key?: string;
  /** The bearer token; asked for before every request, because tokens rotate. */
  token?: () => Promise<string> | string;
  /** The name that the server's certificate must hold, when it is not the host of `server`. */
  servername?: string;
}

export interface InClusterEnvironment {
  KUBERNETES_SERVICE_HOST?: string | undefined;
  KUBERNETES_SERVICE_PORT?: string | undefined;
}

/** The kubelet replaces a projected token when 80 % of its life (at least ten minutes) is over; re-reading this often is plenty. */
const TOKEN_AGE_MS = 10_000;

/**
 * The connection of a pod to its own cluster, from the service account that the kubelet mounts.
 * @throws InvalidInputError when the process does not run in a pod with a service account.
 */
export async function inClusterConnection(
  env: InClusterEnvironment,
  folder = '/var/run/secrets/kubernetes.io/serviceaccount',
  clock: Clock = systemClock,
): Promise<KubeConnection> {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT;
  if (!host || !port) {
    throw new InvalidInputError({
      code: 'NotInCluster',
      message:
        'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this process is not in a pod',
    });
  }
  const token = fileToken(join(folder, 'token'), clock);
  try {
    const ca = await readFile(join(folder, 'ca.crt'), 'utf8');
    await token();
    return { server: `https://${urlHost(host)}:${port}`, ca, token };
  } catch (cause) {
    throw new InvalidInputError({
      code: 'NotInCluster',
      message: `no service account is mounted at ${folder}`,
      cause,
    });
  }
}

function fileToken(path: string, clock: Clock): () => Promise<string> {
  let read: { token: string; atMs: number } | undefined;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (!read || nowMs - read.atMs >= TOKEN_AGE_MS) {
      read = { token: (await readFile(path, 'utf8')).trim(), atMs: nowMs };
    }
    return read.token;
  };
}
