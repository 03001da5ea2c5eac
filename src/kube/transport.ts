// HTTP to one API server over kept-alive, bounded connections. On Node's own client, see docs/adr/0002.
import type { Agent, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { TimeoutError } from '../lib/errors.ts';
import type { KubeConnection } from './connection.ts';
import { authorization, type Endpoint, endpointOf, TCP_KEEP_ALIVE_MS, transferError } from './endpoint.ts';

export interface TransportRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query, percent-encoded, relative to the connection's server. */
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /**
   * Limits the whole exchange, from the wait for a free connection to the end of the body; of a `streaming` request only
   * the time until the head of the response arrives.
   */
  timeoutMs: number;
  /**
   * For responses that go on: watches, followed logs. They have connections of their own, so that they cannot keep
   * ordinary requests from getting one.
   */
  streaming?: boolean;
  /** Aborts the exchange, body included. */
  signal: AbortSignal;
}

export interface TransportResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /**
   * To be read to its end or destroyed, else the connection stays taken until the time limit. Its errors are what broke it;
   * `transferError` turns them into those of `request`.
   */
  body: IncomingMessage;
}

export interface KubeTransport {
  readonly connection: KubeConnection;
  /**
   * Sends one request. Resolves with any HTTP status. Rejects with `UnavailableError` when the server cannot be reached or
   * the connection breaks, with `TimeoutError` when the time limit passes, with the signal's reason when it aborts. Nothing
   * is sent twice.
   */
  request(request: TransportRequest): Promise<TransportResponse>;
  /**
   * Another client certificate, or another authority, from now on. What is under way goes on over the connections it has; idle ones
   * are not used any more.
   */
  renew(credentials: Pick<KubeConnection, 'ca' | 'cert' | 'key'>): void;
  /** Breaks every connection, those in use included. */
  close(): Promise<void>;
}

export interface TransportOptions {
  /** The process, for `User-Agent: mayfly/<process>`. */
  process: string;
  /** Connections for ordinary requests; further requests wait for a free one. Default 64. */
  maxConnections?: number;
}

/** Streaming requests that may be open at once. */
const MAX_STREAMS = 512;

/** Less than the 90 s after which the API server closes an idle connection, or a request might be sent just as it does. */
const IDLE_CONNECTION_MS = 30_000;

export function createTransport(
  connection: KubeConnection,
  { process, maxConnections = 64 }: TransportOptions,
): KubeTransport {
  let current = open(connection, maxConnections);
  let retired: Pool | undefined;
  const userAgent = `mayfly/${process}`;

  return {
    get connection() {
      return current.connection;
    },
    async request(request) {
      request.signal.throwIfAborted();
      const headers = {
        'user-agent': userAgent,
        ...(await authorization(connection)),
        ...request.headers,
      };
      const { endpoint, streams, requests } = current;
      return exchange(endpoint, request.streaming ? streams : requests, request, headers);
    },
    renew(credentials) {
      const renewed = open({ ...current.connection, ...credentials }, maxConnections);
      // What still goes on over connections of two renewals ago has gone on for long enough.
      if (retired) destroy(retired);
      retired = current;
      current = renewed;
    },
    async close() {
      destroy(current);
      if (retired) destroy(retired);
    },
  };
}

/** The connections made with one set of credentials. */
interface Pool {
  connection: KubeConnection;
  endpoint: Endpoint;
  requests: Agent;
  streams: Agent;
}

function open(connection: KubeConnection, maxConnections: number): Pool {
  const endpoint = endpointOf(connection);
  const shared = {
    ...endpoint.tls,
    keepAlive: true,
    keepAliveMsecs: TCP_KEEP_ALIVE_MS,
    timeout: IDLE_CONNECTION_MS,
  };
  return {
    connection,
    endpoint,
    requests: new endpoint.module.Agent({ ...shared, maxSockets: maxConnections }),
    streams: new endpoint.module.Agent({ ...shared, maxSockets: MAX_STREAMS, maxFreeSockets: 1 }),
  };
}

function destroy({ requests, streams }: Pool): void {
  requests.destroy();
  streams.destroy();
}

function exchange(
  { module, host, port, basePath }: Endpoint,
  agent: Agent,
  { method, path, body, timeoutMs, streaming, signal }: TransportRequest,
  headers: Record<string, string>,
): Promise<TransportResponse> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = module.request({
      agent,
      host,
      port,
      method,
      path: basePath + path,
      headers: { ...headers, ...length },
    });
    let incoming: IncomingMessage | undefined;

    const fail = (error: unknown) => {
      const reason = error instanceof Error ? error : new Error(String(error), { cause: error });
      if (incoming) incoming.destroy(reason);
      else outgoing.destroy(reason);
      reject(error);
    };
    const onAbort = () => fail(signal.reason);
    const timer = setTimeout(() => fail(timeLimit(method, path, timeoutMs)), timeoutMs);
    const release = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };

    signal.addEventListener('abort', onAbort, { once: true });
    outgoing.on('error', (error) => {
      release();
      reject(transferError(error, signal));
    });
    outgoing.on('response', (response) => {
      incoming = response;
      if (streaming) clearTimeout(timer);
      response.on('close', release);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response });
    });
    outgoing.end(body);
  });
}

function timeLimit(method: string, path: string, timeoutMs: number): TimeoutError {
  return new TimeoutError({
    code: 'KubernetesTimeout',
    message: `${method} ${path.split('?')[0]} at the Kubernetes API took longer than ${timeoutMs} ms`,
  });
}
