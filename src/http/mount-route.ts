// Puts a route into Express: authenticates, validates, calls the handler and writes what it returns.
import { once } from 'node:events';
import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import type * as z from 'zod';
import type { Authenticator } from './authenticate.ts';
import type { Route, RouteInput, RouteResponse, ServerSentEvent } from './define-route.ts';
import { HttpError, InvalidRequestError } from './problem.ts';

const MAX_JSON_BYTES = 64 * 1024;
/** Proxies close connections that are silent for a minute; this keeps them open. */
const HEARTBEAT_MS = 15_000;

export interface MountDeps {
  authenticator: Authenticator;
  /** Aborted when the process must end. */
  shutdown: AbortSignal;
}

export function mountRoute(router: Router, route: Route, { authenticator, shutdown }: MountDeps): void {
  const authenticate: RequestHandler = (request, response, next) => {
    if (route.auth === 'token')
      response.locals.principal = authenticator.authenticate(request.get('authorization'));
    next();
  };
  const parseBody = route.request.body ? [requireJson, express.json({ limit: MAX_JSON_BYTES })] : [];
  const handle: RequestHandler = async (request, response) => {
    response.locals.route = route.path;
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client has gone')));
    const input: RouteInput<Route['request'], Route['auth']> = {
      params: parsed('params', route.request.params, request.params),
      query: parsed('query', route.request.query, request.query),
      body: parsed('body', route.request.body, request.body),
      principal: response.locals.principal,
      header: (name) => request.get(name),
      signal: AbortSignal.any([gone.signal, shutdown]),
    };
    await send(response, route, await route.handle(input), input.signal);
  };
  router[route.method](route.path, authenticate, ...parseBody, handle);
}

function requireJson(request: Request, _response: Response, next: () => void): void {
  if (!request.is('application/json')) {
    throw new HttpError(415, 'UnsupportedMediaType', 'Send the body as application/json');
  }
  next();
}

function parsed(part: 'params' | 'query' | 'body', schema: z.ZodType | undefined, value: unknown): undefined {
  if (!schema) return undefined;
  const result = schema.safeParse(value);
  if (!result.success) throw new InvalidRequestError(part, result.error);
  // The erased type of a route knows no fields; `defineRoute` has checked them against this schema.
  return result.data as undefined;
}

async function send(
  response: Response,
  route: Route,
  answer: RouteResponse,
  signal: AbortSignal,
): Promise<void> {
  response.status(answer.status).set(answer.headers ?? {});
  if ('events' in answer) return sendEvents(response, answer.events, signal);
  if (answer.body === undefined) {
    response.end();
    return;
  }
  const mediaType = route.responses[answer.status]?.mediaType;
  if (mediaType) response.type(mediaType).send(String(answer.body));
  else response.json(answer.body);
}

/** Ends when the events end or the signal aborts; waits for a slow client, so that nothing piles up. */
async function sendEvents(
  response: Response,
  events: AsyncIterable<ServerSentEvent>,
  signal: AbortSignal,
): Promise<void> {
  response.set({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  response.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(':\n\n');
  }, HEARTBEAT_MS);
  try {
    for await (const { event, id, data } of events) {
      const flushed = response.write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
      if (!flushed) await once(response, 'drain', { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}
