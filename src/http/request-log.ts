// Every request gets an id, one line in the log and a place in the figures. Headers and bodies are never logged.
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { Histogram } from 'prom-client';
import type { Logger } from '../lib/logger.ts';
import type { Metrics } from '../lib/metrics.ts';

const REQUEST_ID = /^[\w-]{8,64}$/;

/** Takes the id of a proxy in front when it has the form of one, so that a request can be followed. */
export function requestLog(logger: Logger, metrics: Metrics): RequestHandler {
  const durations = new Histogram({
    name: 'mayfly_http_request_duration_seconds',
    help: 'How long requests to the API take, by route, method and status',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [metrics],
  });
  return (request, response, next) => {
    const given = request.get('x-request-id');
    const requestId = given && REQUEST_ID.test(given) ? given : randomUUID();
    response.locals.requestId = requestId;
    response.set('x-request-id', requestId);
    const stop = durations.startTimer();
    response.once('close', () => {
      // Only known routes are labels: a path from outside would make as many series as somebody wants.
      const route = String(response.locals.route ?? 'none');
      const { method } = request;
      const status = response.statusCode;
      const seconds = stop({ route, method, status });
      logger.debug({ requestId, method, route, status, durationMs: Math.round(seconds * 1000) }, 'request');
    });
    next();
  };
}
