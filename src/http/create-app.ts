// The API as an Express application: routes, and around them what every request goes through.
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { PROBLEM_MEDIA_TYPE } from '../api/problem.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Authenticator } from './authenticate.ts';
import type { Route } from './define-route.ts';
import { mountRoute } from './mount-route.ts';
import { openApiDocument } from './openapi.ts';
import { HttpError, problemOf } from './problem.ts';
import { requestLog } from './request-log.ts';

export interface AppDeps {
  routes: readonly Route[];
  /** The webhook's handlers, which must see raw bytes. Absent: there is no webhook. */
  webhook?: { path: string; handlers: RequestHandler[] };
  authenticator: Authenticator;
  logger: Logger;
  metrics: Metrics;
  /** Where people reach the service; no slash at its end. */
  publicUrl: string;
  version: string;
  /** Aborted when the process must end: streams end then. */
  shutdown: AbortSignal;
}

export function createApp({
  routes,
  webhook,
  authenticator,
  logger,
  metrics,
  publicUrl,
  version,
  shutdown,
}: AppDeps): Express {
  const document = openApiDocument(routes, { version, serverUrl: publicUrl });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.enable('strict routing');
  app.enable('case sensitive routing');

  app.use(requestLog(logger, metrics));
  app.use(securityHeaders(publicUrl));
  if (webhook) app.post(webhook.path, ...webhook.handlers);
  app.get('/openapi.json', (_request, response) => {
    response.json(document);
  });
  for (const route of routes) mountRoute(app, route, { authenticator, shutdown });
  app.use(() => {
    throw new HttpError(404, 'NoSuchRoute', 'There is nothing here');
  });
  app.use(problems(logger));
  return app;
}

/** Nothing that the API answers is a document, may be kept, or may be embedded. */
function securityHeaders(publicUrl: string): RequestHandler {
  const headers = {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    ...(publicUrl.startsWith('https:') && { 'strict-transport-security': 'max-age=31536000' }),
  };
  return (_request, response, next) => {
    response.set(headers);
    next();
  };
}

function problems(logger: Logger): ErrorRequestHandler {
  return (error, request, response, _next) => {
    const requestId = String(response.locals.requestId);
    const problem = problemOf(error, requestId);
    if (problem.status >= 500) logger.error({ requestId, err: error }, 'request failed');
    else logger.debug({ requestId, code: problem.code, reason: errorMessage(error) }, 'request refused');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    // A body that was not read to its end leaves the connection in no state to go on with.
    if (!request.complete) response.set('connection', 'close');
    if (problem.status === 401) response.set('www-authenticate', 'Bearer');
    if (problem.status === 503) response.set('retry-after', '5');
    response.status(problem.status).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem));
  };
}
