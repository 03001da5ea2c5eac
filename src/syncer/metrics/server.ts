// The metrics API as an extension of the virtual API server: TLS and reading. It listens nowhere; the egress gate hands over
// the streams that the API server dialled, which has asked who its user is and what he may read.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ReadStore } from '../../kube/store.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { asStatus, failureOf } from '../kubelet/failure.ts';
import type { Node } from '../objects.ts';
import { answer, parseQuery } from './api.ts';
import type { UsageReader } from './usage.ts';

export interface MetricsServerDeps {
  /** PEM. */
  tls: { cert: string; key: string };
  usage: UsageReader;
  nodes: Pick<ReadStore<Node>, 'list'>;
  logger: Logger;
}

export interface MetricsServer {
  /** Takes over a byte stream on which the API server is about to begin TLS. */
  accept(stream: Duplex): void;
  /** Of connections from now on. */
  renew(tls: { cert: string; key: string }): void;
  /** Breaks every stream. */
  close(): void;
}

const MIN_TLS_VERSION = 'TLSv1.2';
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Longer than the API server keeps an idle connection (90 s), so that it never writes on one being closed here. */
const KEEP_ALIVE_MS = 120_000;

export function createMetricsServer({ tls, usage, nodes, logger }: MetricsServerDeps): MetricsServer {
  const stop = new AbortController();
  const connections = new Set<Duplex>();

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.method !== 'GET') {
      send(405, asStatus({ status: 405, reason: 'MethodNotAllowed', message: 'metrics can only be read' }));
      return;
    }
    try {
      const query = parseQuery(request.url ?? '');
      const signal = AbortSignal.any([stop.signal, gone.signal]);
      const used = query.resource === 'discovery' ? [] : await usage.read(signal);
      send(200, answer(query, used, nodes.list()));
    } catch (error) {
      logger.debug({ reason: errorMessage(error) }, 'no metrics');
      const failure = failureOf(error);
      send(failure.status, asStatus(failure));
    }
  }

  const server = createServer({
    cert: tls.cert,
    key: tls.key,
    minVersion: MIN_TLS_VERSION,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  server.on('request', serve);
  server.on('clientError', (_, client) => client.destroy());

  return {
    accept(stream) {
      if (stop.signal.aborted) {
        stream.destroy();
        return;
      }
      connections.add(stream);
      stream.once('close', () => connections.delete(stream));
      server.emit('connection', stream);
    },
    renew({ cert, key }) {
      server.setSecureContext({ cert, key, minVersion: MIN_TLS_VERSION });
    },
    close() {
      stop.abort();
      for (const connection of connections) connection.destroy();
    },
  };
}
