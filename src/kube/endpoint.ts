// Turns a connection into the options of Node's own HTTP client, once, for the transport and for upgraded streams.
import http from 'node:http';
import https from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { InvalidInputError, MayflyError, UnavailableError } from '../lib/errors.ts';
import type { KubeConnection } from './connection.ts';

/** The kernel probes a silent peer after this long, and gives up after ten unanswered probes, one a second (libuv's figures). */
export const TCP_KEEP_ALIVE_MS = 15_000;

export interface Endpoint {
  module: typeof http | typeof https;
  host: string;
  port: number;
  /** Without a slash at its end; empty most of the time. */
  basePath: string;
  /**
   * Parsed once. Passing the PEM texts instead would parse them again for every socket, and make Node concatenate them into
   * the name of the socket pool for every request.
   */
  tls: { secureContext?: SecureContext; servername?: string };
}

/** @throws InvalidInputError when the server is no http(s) URL or a certificate cannot be read. */
export function endpointOf({ server, ca, cert, key, servername }: KubeConnection): Endpoint {
  try {
    const url = new URL(server);
    const secure = url.protocol === 'https:';
    if (!secure && url.protocol !== 'http:') throw new TypeError(`unknown protocol ${url.protocol}`);
    return {
      module: secure ? https : http,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port) || (secure ? 443 : 80),
      basePath: url.pathname.replace(/\/+$/, ''),
      tls: secure
        ? { secureContext: createSecureContext({ ca, cert, key }), ...(servername && { servername }) }
        : {},
    };
  } catch (cause) {
    throw new InvalidInputError({
      code: 'InvalidConnection',
      message: `cannot make a connection to the Kubernetes API at "${server}"`,
      cause,
    });
  }
}

/**
 * The `Authorization` header for now; none when the client is known by its certificate.
 * @throws UnavailableError when the token cannot be read.
 */
export async function authorization({ token }: KubeConnection): Promise<Record<string, string>> {
  if (!token) return {};
  try {
    return { authorization: `Bearer ${await token()}` };
  } catch (cause) {
    throw new UnavailableError({
      code: 'CredentialUnreadable',
      message: 'the token for the Kubernetes API cannot be read',
      cause,
    });
  }
}

/**
 * The error of an exchange, in our terms: the signal's reason when it aborted, our own errors as they are, and any failure of
 * the socket, the TLS handshake or the HTTP framing as `UnavailableError`.
 */
export function transferError(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof MayflyError) return error;
  const detail = error instanceof Error ? error.message || error.name : String(error);
  return new UnavailableError({
    code: 'KubernetesUnreachable',
    message: `the Kubernetes API cannot be reached: ${detail}`,
    cause: error,
  });
}
