// The metrics API as an extension of the virtual API server, which has asked who its user is and what he may read.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ReadStore } from '../../kube/store.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { asStatus, failureOf } from '../kubelet/failure.ts';
import type { Node } from '../objects.ts';
import { createStreamServer, type ServerCertificate, type StreamServer } from '../stream-server.ts';
import { answer, parseQuery } from './api.ts';
import type { UsageReader } from './usage.ts';

export interface MetricsServerDeps {
  tls: ServerCertificate;
  usage: UsageReader;
  nodes: Pick<ReadStore<Node>, 'list'>;
  logger: Logger;
}

export function createMetricsServer({ tls, usage, nodes, logger }: MetricsServerDeps): StreamServer {
  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    request.resume();
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.method !== 'GET') {
      send(405, asStatus({ status: 405, reason: 'MethodNotAllowed', message: 'metrics can only be read' }));
      return;
    }
    try {
      const query = parseQuery(request.url ?? '');
      const used = query.resource === 'discovery' ? [] : await usage.read(signal);
      send(200, answer(query, used, nodes.list()));
    } catch (error) {
      logger.debug({ reason: errorMessage(error) }, 'no metrics');
      const failure = failureOf(error);
      send(failure.status, asStatus(failure));
    }
  }

  return createStreamServer(tls, serve);
}
