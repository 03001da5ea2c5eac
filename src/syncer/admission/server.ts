// The syncer's admission webhook: TLS and one route. It listens nowhere; the egress gate hands over the streams that the API
// server dialled to the webhook's name.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { readText } from '../../kube/body.ts';
import { errorMessage, InvalidInputError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { SERVICES_PATH } from './configuration.ts';
import type { Reservations } from './reservations.ts';
import { type AdmissionReview, allowed, denied, parseReview } from './review.ts';

/** PEM. */
interface AdmissionTls {
  cert: string;
  key: string;
}

export interface AdmissionServerDeps {
  tls: AdmissionTls;
  reservations: Pick<Reservations, 'admit'>;
  logger: Logger;
}

export interface AdmissionServer {
  /** Takes over a byte stream on which the API server is about to begin TLS. */
  accept(stream: Duplex): void;
  /** Of connections from now on. */
  renew(tls: AdmissionTls): void;
  /** Breaks every stream. */
  close(): void;
}

const MIN_TLS_VERSION = 'TLSv1.2';
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Longer than the API server keeps an idle connection (90 s), so that it never writes on one being closed here. */
const KEEP_ALIVE_MS = 120_000;
/** A review holds a Service twice, and no request of the API is larger than 3 MiB. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

export function createAdmissionServer({ tls, reservations, logger }: AdmissionServerDeps): AdmissionServer {
  const stop = new AbortController();
  const connections = new Set<Duplex>();

  async function review(request: IncomingMessage, signal: AbortSignal): Promise<AdmissionReview> {
    const parsed = parseReview(await readText(request, MAX_BODY_BYTES, signal));
    try {
      return allowed(parsed, await reservations.admit(parsed, signal));
    } catch (error) {
      logger.info({ operation: parsed.operation, reason: errorMessage(error) }, 'Service denied');
      return denied(parsed, error);
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST' || request.url?.split('?')[0] !== SERVICES_PATH) {
      response.writeHead(404).end();
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const answer = await review(request, AbortSignal.any([stop.signal, gone.signal]));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      logger.warn({ reason: errorMessage(error) }, 'admission review failed');
      response.writeHead(error instanceof InvalidInputError ? 400 : 500).end(errorMessage(error));
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
