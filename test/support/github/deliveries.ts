// Deliveries as GitHub makes them: its own example payloads (npm @octokit/webhooks-examples) about the state's pull
// requests, signed, with its headers.
import { createHmac, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Bodies } from './bodies.ts';
import type { Description, JsonObject } from './description.ts';
import type { PullRequest } from './state.ts';

export interface DeliveryOptions {
  /** Where to: the address that the app has for its webhooks. */
  to: string;
  /** Absent: a new one. */
  id?: string;
  /** Absent: the app's own. */
  secret?: string;
  signal?: AbortSignal;
}

export interface DeliveryResult {
  id: string;
  status: number;
  body: string;
}

export interface SignedDelivery {
  headers: Record<string, string>;
  body: Buffer;
}

export interface Deliveries {
  pullRequest(action: string, pull: PullRequest): JsonObject;
  /** An example of another event, as it is. */
  example(event: string): JsonObject;
  sign(event: string, payload: unknown, options?: Pick<DeliveryOptions, 'id' | 'secret'>): SignedDelivery;
  send(event: string, payload: unknown, options: DeliveryOptions): Promise<DeliveryResult>;
}

export interface DeliveriesDeps {
  description: Description;
  bodies: Bodies;
  secret: string;
  appId: number;
  installationId: number;
}

const EXAMPLE_REPOSITORY = 'Codertocat/Hello-World';
/** GitHub gives up on a delivery after this time. */
const DELIVERY_TIMEOUT_MS = 10_000;

export function createDeliveries(deps: DeliveriesDeps): Deliveries {
  const { description, bodies, appId, installationId } = deps;

  const sign: Deliveries['sign'] = (event, payload, { id = randomUUID(), secret = deps.secret } = {}) => {
    const body = Buffer.from(JSON.stringify(payload));
    return {
      body,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'GitHub-Hookshot/0123abc',
        'x-github-delivery': id,
        'x-github-event': event,
        'x-github-hook-id': '1',
        'x-github-hook-installation-target-id': String(appId),
        'x-github-hook-installation-target-type': 'integration',
        'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      },
    };
  };

  return {
    sign,
    pullRequest(action, pull) {
      const text = JSON.stringify(exampleOf('pull_request', action));
      const example: JsonObject = JSON.parse(text.replaceAll(EXAMPLE_REPOSITORY, pull.repository.fullName));
      const { id, number, title, state, draft, labels, merged, merged_at, closed_at, head, base, user } =
        bodies.pullRequest(pull);
      const examplePull = object(example.pull_request);
      const { id: repositoryId, fullName } = pull.repository;
      const [owner = '', name = ''] = fullName.split('/');
      // `auto_merge` is younger than some of the examples.
      const payload: JsonObject = {
        ...example,
        number,
        pull_request: {
          auto_merge: null,
          ...examplePull,
          ...{ id, number, title, state, draft, labels, merged, merged_at, closed_at, user },
          head: side(examplePull.head, head),
          base: side(examplePull.base, base),
        },
        repository: {
          ...object(example.repository),
          ...{
            id: repositoryId,
            name,
            full_name: fullName,
            owner: { ...object(object(example.repository).owner), login: owner },
          },
        },
        installation: { id: installationId, node_id: 'MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u' },
      };
      const problem = description.deliveryProblem(`pull-request-${action.replaceAll('_', '-')}`, payload);
      if (problem !== undefined)
        throw new Error(`pull_request.${action} is not what GitHub sends: ${problem}`);
      return payload;
    },
    example: (event) => exampleOf(event),
    async send(event, payload, { to, signal, ...options }) {
      const { headers, body } = sign(event, payload, options);
      const limit = AbortSignal.timeout(DELIVERY_TIMEOUT_MS);
      const response = await fetch(to, {
        method: 'POST',
        headers,
        body,
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      });
      return { id: headers['x-github-delivery'] ?? '', status: response.status, body: await response.text() };
    },
  };
}

/** The state's head or base, with the example's fuller repository under it. `has_discussions` is younger than some. */
function side(example: unknown, state: unknown): JsonObject {
  const { repo, ...rest } = object(state);
  const exampleRepo = object(object(example).repo);
  const { id, name, full_name, owner } = repo === null ? {} : object(repo);
  return {
    ...object(example),
    ...rest,
    repo: repo === null ? null : { has_discussions: false, ...exampleRepo, id, name, full_name, owner },
  };
}

function exampleOf(event: string, action?: string): JsonObject {
  const events: { name: string; examples: JsonObject[] }[] = createRequire(import.meta.url)(
    '@octokit/webhooks-examples',
  );
  const example = events
    .find(({ name }) => name === event)
    ?.examples.find((candidate) => action === undefined || candidate.action === action);
  if (!example) throw new Error(`there is no example of ${event}${action === undefined ? '' : `.${action}`}`);
  return structuredClone(example);
}

function object(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
