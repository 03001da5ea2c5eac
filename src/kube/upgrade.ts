// Opens upgraded byte streams (SPDY, WebSocket) to the API server: exec, attach and port-forward on their way through a proxy.
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import { TimeoutError } from '../lib/errors.ts';
import type { KubeConnection } from './connection.ts';
import { authorization, endpointOf, TCP_KEEP_ALIVE_MS, transferError } from './endpoint.ts';

export interface UpgradeRequest {
  method: string;
  /** With the query, percent-encoded, relative to the connection's server. */
  path: string;
  /** Holds `Connection: Upgrade` and `Upgrade`. Credentials are the connection's: an `Authorization` in here is replaced. */
  headers: OutgoingHttpHeaders;
  /** Aborting breaks the stream too, for as long as it is open. */
  signal: AbortSignal;
  /** Limits the handshake only. */
  timeoutMs: number;
}

export type UpgradeResult =
  | {
      kind: 'upgraded';
      status: number;
      statusMessage: string;
      headers: IncomingHttpHeaders;
      /** Names and values in turn, as they were sent: for answering a client with the same head. */
      rawHeaders: string[];
      socket: Duplex;
      /** The first bytes of the stream, which came with the head. */
      head: Buffer;
    }
  /** The server did not upgrade; its answer, most often a `Status`. To be read to its end or destroyed. */
  | { kind: 'response'; response: IncomingMessage };

/**
 * @throws UnavailableError when the server cannot be reached, TimeoutError after `timeoutMs` without an answer, the signal's
 * reason when it aborts.
 */
export async function openUpgrade(
  connection: KubeConnection,
  { method, path, headers, signal, timeoutMs }: UpgradeRequest,
): Promise<UpgradeResult> {
  signal.throwIfAborted();
  const { module, host, port, basePath, tls } = endpointOf(connection);
  const credentials = await authorization(connection);
  const withoutCredentials = Object.entries(headers).filter(
    ([name]) => name.toLowerCase() !== 'authorization',
  );

  return new Promise<UpgradeResult>((resolve, reject) => {
    signal.throwIfAborted();
    const outgoing = module.request({
      ...tls,
      agent: false,
      host,
      port,
      method,
      path: basePath + path,
      headers: { ...Object.fromEntries(withoutCredentials), ...credentials },
    });
    let stream: Duplex | IncomingMessage | undefined;

    const onAbort = () => {
      if (stream) stream.destroy();
      else outgoing.destroy();
      reject(signal.reason);
    };
    const timer = setTimeout(() => outgoing.destroy(noHandshake(timeoutMs)), timeoutMs);
    const opened = (opening: Duplex | IncomingMessage) => {
      stream = opening;
      clearTimeout(timer);
      opening.on('close', () => signal.removeEventListener('abort', onAbort));
    };

    signal.addEventListener('abort', onAbort, { once: true });
    // Once it is open it has no time limit: a silent peer may be one that is gone.
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS));
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      if (!stream) signal.removeEventListener('abort', onAbort);
      reject(transferError(error, signal));
    });
    outgoing.on('upgrade', ({ statusCode = 101, statusMessage = '', headers, rawHeaders }, socket, head) => {
      opened(socket);
      resolve({ kind: 'upgraded', status: statusCode, statusMessage, headers, rawHeaders, socket, head });
    });
    outgoing.on('response', (response) => {
      opened(response);
      resolve({ kind: 'response', response });
    });
    outgoing.end();
  });
}

function noHandshake(timeoutMs: number): TimeoutError {
  return new TimeoutError({
    code: 'KubernetesTimeout',
    message: `the Kubernetes API did not answer the upgrade within ${timeoutMs} ms`,
  });
}
