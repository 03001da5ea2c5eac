// The one port of the service: previews by Host header, virtual clusters by path, everything else to the API; and its end.
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ClusterGateway } from './gateway/cluster-gateway.ts';
import { clusterPath } from './gateway/cluster-path.ts';
import type { PreviewGateway } from './gateway/preview-gateway.ts';
import { hostKind, type ServiceHosts } from './preview-host.ts';

/** Longer than load balancers keep idle connections (60 s is common), or they would send into a closed one. */
const KEEP_ALIVE_MS = 65_000;
const HEADERS_TIMEOUT_MS = 20_000;
/** For a client to send a request to the API, body included. */
const API_REQUEST_TIMEOUT_MS = 60_000;

export interface ServerDeps {
  app: RequestListener;
  previews: PreviewGateway;
  clusters: ClusterGateway;
  hosts: ServiceHosts;
}

export interface MayflyServer {
  listen(port: number, host?: string): Promise<AddressInfo>;
  /** Takes no more connections, waits up to `drainMs` for requests under way, and then breaks what is left. */
  close(options: { drainMs: number }): Promise<void>;
}

export function createServer({ app, previews, clusters, hosts }: ServerDeps): MayflyServer {
  const sockets = new Set<Duplex>();
  const server = createHttpServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // Uploads to previews may take as long as they like; those to the API are small and limited by their size.
    requestTimeout: 0,
    shouldUpgradeCallback: mayUpgrade,
  });

  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  let isClosing = false;
  server.on('request', (request, response) => {
    // A connection that was busy when the server was closed is idle once its request is over.
    response.once('close', () => isClosing && setImmediate(() => server.closeIdleConnections()));
    const target = request.url ?? '';
    const host = hostKind(request.headers.host, hosts);
    if (!target.startsWith('/')) {
      response.writeHead(400, { connection: 'close' }).end();
      return;
    }
    if (host.kind === 'preview') return previews.handle(request, response, host.hostLabel);
    const path = clusterPath(target);
    if (path.kind === 'cluster') return void clusters.handle(request, response, path.name, path.target);
    if (path.kind === 'refused') {
      response.writeHead(400, { connection: 'close' }).end();
      return;
    }
    const timer = setTimeout(() => request.complete || request.destroy(), API_REQUEST_TIMEOUT_MS);
    response.once('close', () => clearTimeout(timer));
    app(request, response);
  });
  server.on('upgrade', (request, socket, head) => {
    const host = hostKind(request.headers.host, hosts);
    if (host.kind === 'preview') return previews.handleUpgrade(request, socket, head, host.hostLabel);
    const path = clusterPath(request.url ?? '');
    if (path.kind === 'cluster') {
      return void clusters.handleUpgrade(request, socket, head, path.name, path.target);
    }
    socket.destroy();
  });

  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          // A server on a TCP port has an address of this form.
          resolve(server.address() as AddressInfo);
        });
      }),
    async close({ drainMs }) {
      isClosing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, drainMs);
      await closed;
      clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      previews.close();
      clusters.close();
    },
  };

  /** Only where there is something to upgrade to; any other request that offers it is handled as if it had not. */
  function mayUpgrade(request: IncomingMessage): boolean {
    const protocol = request.headers.upgrade?.toLowerCase() ?? '';
    if (!request.url?.startsWith('/')) return false;
    if (hostKind(request.headers.host, hosts).kind === 'preview') {
      return protocol === 'websocket' && request.method === 'GET';
    }
    return /^(websocket|spdy\/3\.1)$/.test(protocol) && clusterPath(request.url).kind === 'cluster';
  }
}
