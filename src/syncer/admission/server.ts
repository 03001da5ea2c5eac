// The syncer's admission webhook: one route.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readText } from '../../kube/body.ts';
import { errorMessage, InvalidInputError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { createStreamServer, type ServerCertificate, type StreamServer } from '../stream-server.ts';
import { SERVICES_PATH } from './configuration.ts';
import type { Reservations } from './reservations.ts';
import { type AdmissionReview, allowed, denied, parseReview } from './review.ts';

export interface AdmissionServerDeps {
  tls: ServerCertificate;
  reservations: Pick<Reservations, 'admit'>;
  logger: Logger;
}

/** A review holds a Service twice, and no request of the API is larger than 3 MiB. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

export function createAdmissionServer({ tls, reservations, logger }: AdmissionServerDeps): StreamServer {
  async function review(request: IncomingMessage, signal: AbortSignal): Promise<AdmissionReview> {
    const parsed = parseReview(await readText(request, MAX_BODY_BYTES, signal));
    try {
      return allowed(parsed, await reservations.admit(parsed, signal));
    } catch (error) {
      logger.info({ operation: parsed.operation, reason: errorMessage(error) }, 'Service denied');
      return denied(parsed, error);
    }
  }

  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    if (request.method !== 'POST' || request.url?.split('?')[0] !== SERVICES_PATH) {
      response.writeHead(404).end();
      return;
    }
    try {
      const answer = await review(request, signal);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      logger.warn({ reason: errorMessage(error) }, 'admission review failed');
      response.writeHead(error instanceof InvalidInputError ? 400 : 500).end(errorMessage(error));
    }
  }

  return createStreamServer(tls, serve);
}
