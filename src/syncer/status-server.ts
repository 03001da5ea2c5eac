// The port on which a kubelet and Prometheus ask the syncer how it is.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Metrics } from '../lib/metrics.ts';

export interface StatusServerDeps {
  metrics: Metrics;
  /** By name: what has to hold before the virtual cluster is usable. */
  readiness: Readonly<Record<string, () => boolean>>;
}

export interface StatusServer {
  listen(port: number): Promise<{ port: number }>;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 10_000;

export function createStatusServer({ metrics, readiness }: StatusServerDeps): StatusServer {
  async function answer(path: string): Promise<{ status: number; body: string; type?: string }> {
    switch (path) {
      case '/healthz':
        return { status: 200, body: 'ok\n' };
      case '/readyz': {
        const checks = Object.entries(readiness).map(([name, holds]) => ({ name, holds: holds() }));
        const body = checks.map(({ name, holds }) => `[${holds ? '+' : '-'}]${name}\n`).join('');
        return { status: checks.every(({ holds }) => holds) ? 200 : 503, body };
      }
      case '/metrics':
        return { status: 200, body: await metrics.metrics(), type: metrics.contentType };
      default:
        return { status: 404, body: 'not found\n' };
    }
  }

  const server = createServer((request, response) => {
    answer(request.url ?? '')
      .catch(() => ({ status: 500, body: 'the figures cannot be collected\n', type: undefined }))
      .then(({ status, body, type = 'text/plain; charset=utf-8' }) => {
        response.writeHead(status, { 'content-type': type }).end(body);
      });
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;

  return {
    async listen(port) {
      server.listen(port);
      await once(server, 'listening');
      const address = server.address();
      return { port: typeof address === 'object' && address ? address.port : port };
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
