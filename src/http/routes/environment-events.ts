// GET /v1/environments/:name/events
import { environment } from '../../api/environment.ts';
import type { EnvironmentService } from '../../environments/service.ts';
import type { EnvironmentStore } from '../../environments/store.ts';
import { UnavailableError } from '../../lib/errors.ts';
import { defineRoute, type ServerSentEvent } from '../define-route.ts';
import { type EnvironmentChange, openEnvironmentFeed } from '../environment-feed.ts';
import { environmentView } from '../environment-view.ts';
import { namedEnvironment } from './named-environment.ts';

/** Streams at once in this process; each costs a connection. */
const MAX_STREAMS = 1_000;

export interface EnvironmentEventsDeps {
  environments: Pick<EnvironmentService, 'get'>;
  store: Pick<EnvironmentStore, 'get' | 'subscribe'>;
  maxStreams?: number;
}

export function environmentEventsRoute({
  environments,
  store,
  maxStreams = MAX_STREAMS,
}: EnvironmentEventsDeps) {
  let open = 0;

  return defineRoute({
    method: 'get',
    path: '/v1/environments/:name/events',
    summary:
      'An environment now and after every change, as server-sent events `environment` and at last `deleted`',
    auth: 'token',
    request: { params: namedEnvironment },
    responses: {
      200: {
        description: 'The data of each event; with `Last-Event-ID` what was seen already is not sent again',
        schema: environment,
        mediaType: 'text/event-stream',
      },
    },
    problems: [400, 404],
    async handle({ params, principal, header, signal }) {
      if (open >= maxStreams) {
        throw new UnavailableError({
          code: 'TooManyStreams',
          message: 'Too many streams are open: try again later',
        });
      }
      open++;
      signal.addEventListener('abort', () => open--, { once: true });
      const follow = openEnvironmentFeed(store, params.name, signal);
      const first = await environments.get(principal, params.name, signal);
      return { status: 200, events: events(follow(first), header('last-event-id')) };
    },
  });
}

async function* events(
  changes: AsyncIterable<EnvironmentChange>,
  seen: string | undefined,
): AsyncGenerator<ServerSentEvent> {
  for await (const { type, environment } of changes) {
    const id = environment.metadata.resourceVersion ?? '';
    if (type === 'deleted' || id !== seen) yield { event: type, id, data: environmentView(environment) };
  }
}
