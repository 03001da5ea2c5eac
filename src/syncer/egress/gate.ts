// The HTTP CONNECT server that kube-apiserver dials everything through (EgressSelectorConfiguration, HTTPConnect over a Unix
// socket). It sends "CONNECT host:port HTTP/1.1" and, when refused, shows its user the status line and nothing else.
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorMessage, ForbiddenError, TimeoutError, UnavailableError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { AllowList } from './allow-list.ts';
import { type Decision, decide, type EgressStores, type Selector } from './policy.ts';
import { relay } from './relay.ts';
import { type Resolve, resolveExternal, resolveWithSystem } from './resolve-external.ts';

export interface EgressGateDeps {
  stores: EgressStores;
  allowList: AllowList;
  /** Take over the API server's stream as if it had been accepted on a port of theirs. */
  kubelet: { accept(stream: Duplex, nodeAddress: string): void };
  admission: { accept(stream: Duplex): void };
  metrics: { accept(stream: Duplex): void };
  logger: Logger;
  resolve?: Resolve;
  /** Streams open at once over all selectors; more are refused. Default 1024. */
  maxTunnels?: number;
  /** Default 10 s. */
  connectTimeoutMs?: number;
}

export interface EgressGate {
  /** Replaces a socket file that an earlier process left. Each selector has a socket of its own, that is how it is known. */
  listen(selector: Selector, path: string): Promise<void>;
  readonly tunnels: number;
  /** Breaks every tunnel. */
  close(): Promise<void>;
}

const TCP_KEEP_ALIVE_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** The API server runs as another user of the same group. */
const SOCKET_MODE = 0o660;

export function createEgressGate(deps: EgressGateDeps): EgressGate {
  const { stores, allowList, kubelet, logger } = deps;
  const { resolve = resolveWithSystem, maxTunnels = 1024, connectTimeoutMs = 10_000 } = deps;
  const stop = new AbortController();
  const servers: Server[] = [];
  const tunnels = new Set<Promise<void>>();

  async function tunnel(client: Duplex, decision: Decision, signal: AbortSignal): Promise<void> {
    switch (decision.kind) {
      case 'refused':
        return refuse(client, 403, decision.reason);
      case 'kubelet':
        establish(client);
        return handOver(client, signal, (stream) => kubelet.accept(stream, decision.nodeAddress));
      case 'admission':
      case 'metrics':
        establish(client);
        return handOver(client, signal, (stream) => deps[decision.kind].accept(stream));
      default: {
        const { address, port } =
          decision.kind === 'own'
            ? decision
            : {
                address: await resolveExternal(decision.target, allowList, resolve),
                port: decision.target.port,
              };
        const upstream = await dial(address, port, connectTimeoutMs, signal);
        establish(client);
        return relay(client, upstream, { signal });
      }
    }
  }

  async function serve(client: Duplex, authority: string, selector: Selector): Promise<void> {
    const gone = new AbortController();
    client.on('error', () => client.destroy());
    client.on('close', () => gone.abort());
    const decision = decide(authority, selector, stores, allowList);
    if (decision.kind === 'refused') logger.info({ selector, reason: decision.reason }, 'egress refused');
    try {
      await tunnel(client, decision, AbortSignal.any([stop.signal, gone.signal]));
    } catch (error) {
      const status = error instanceof ForbiddenError ? 403 : error instanceof TimeoutError ? 504 : 502;
      refuse(client, status, errorMessage(error));
    }
  }

  return {
    async listen(selector, path) {
      const server = createServer({ connectionsCheckingInterval: HEADERS_TIMEOUT_MS }, (_, response) => {
        response.writeHead(405, 'only CONNECT is served').end();
      });
      server.headersTimeout = HEADERS_TIMEOUT_MS;
      server.on('connect', (request, client, head) => {
        if (tunnels.size >= maxTunnels) return refuse(client, 503, 'too many connections are open');
        if (head.length > 0) client.unshift(head);
        const served = serve(client, request.url ?? '', selector).finally(() => tunnels.delete(served));
        tunnels.add(served);
      });
      await rm(path, { force: true });
      server.listen({ path });
      await once(server, 'listening');
      await chmod(path, SOCKET_MODE);
      server.on('error', (error) => logger.error(error, 'egress gate'));
      servers.push(server);
    },
    get tunnels() {
      return tunnels.size;
    },
    async close() {
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      for (const server of servers) server.closeAllConnections();
      stop.abort();
      await Promise.all([...closed, ...tunnels]);
    },
  };
}

function establish(client: Duplex): void {
  client.write('HTTP/1.1 200 OK\r\n\r\n');
}

/** The API server reads no body: the reason is in the status line, where only printable ASCII may be. */
function refuse(client: Duplex, status: number, reason: string): void {
  if (client.destroyed) return;
  const text = reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 400);
  client.end(`HTTP/1.1 ${status} ${text}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  // Whatever else the API server sends is not for anybody.
  client.resume();
}

async function handOver(
  client: Duplex,
  signal: AbortSignal,
  accept: (stream: Duplex) => void,
): Promise<void> {
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  const onAbort = () => client.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  accept(client);
  await closed;
  signal.removeEventListener('abort', onAbort);
}

/** @throws UnavailableError, or TimeoutError when nobody answers in time. */
function dial(address: string, port: number, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({
      host: address,
      port,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    });
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    const fail = (error: unknown) =>
      settle(() => {
        socket.destroy();
        reject(error);
      });
    const timer = setTimeout(
      () => fail(new TimeoutError({ code: 'ConnectTimeout', message: `${address}:${port} does not answer` })),
      timeoutMs,
    );
    const onAbort = () => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (cause: NodeJS.ErrnoException) =>
      fail(
        new UnavailableError({
          code: 'ConnectFailed',
          message: `cannot connect to ${address}:${port}: ${cause.code ?? cause.message}`,
          cause,
        }),
      ),
    );
    socket.once('connect', () => settle(() => resolve(socket)));
  });
}
