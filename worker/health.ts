// The worker's port for probes and metrics. It serves nobody else.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from '../src/lib/metrics.ts';

export interface HealthDeps {
  port: number;
  /** What must hold before the process is ready, by name. */
  readiness: Readonly<Record<string, () => boolean>>;
  metrics: Metrics;
}

export interface HealthServer {
  port: number;
  close(): Promise<void>;
}

/** `/healthz`: the process runs; `/readyz`: it can work, or a line for each thing that is missing; `/metrics`. */
export async function startHealthServer({ port, readiness, metrics }: HealthDeps): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type }).end(body);
    if (request.url === '/healthz') return answer(200, 'text/plain', 'ok\n');
    if (request.url === '/readyz') {
      const missing = Object.entries(readiness).filter(([, holds]) => !holds());
      const lines = missing.map(([name]) => `not ready: ${name}\n`).join('');
      return answer(missing.length === 0 ? 200 : 503, 'text/plain', lines || 'ok\n');
    }
    if (request.url === '/metrics') {
      metrics.metrics().then(
        (text) => answer(200, metrics.contentType, text),
        () => answer(500, 'text/plain', 'no metrics\n'),
      );
      return undefined;
    }
    return answer(404, 'text/plain', 'not found\n');
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
