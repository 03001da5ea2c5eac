// Turns a verified delivery into a hint: which pull request to look at again. It never carries a decision, because
// deliveries are late, repeated and out of order.
import * as z from 'zod';
import { InvalidInputError } from '../lib/errors.ts';

export interface Delivery {
  /** Value of `X-GitHub-Delivery`: the same when GitHub delivers again. */
  id: string;
  /** Value of `X-GitHub-Event`. */
  event: string;
  /** The verified body: JSON. */
  body: Uint8Array;
}

export type DeliveryHint =
  | {
      type: 'pull-request';
      deliveryId: string;
      action: string;
      /** `owner/name` at the time of the event. */
      repository: string;
      repositoryId: number;
      installationId: number;
      number: number;
    }
  | { type: 'ignored'; deliveryId: string; reason: string };

const DELIVERY_ID = /^[0-9A-Za-z-]{1,72}$/;

/** The actions after which a pull request may need an environment, another one, or none. */
const ACTIONS: ReadonlySet<string> = new Set([
  'opened',
  'synchronize',
  'reopened',
  'closed',
  'edited',
  'labeled',
  'unlabeled',
  'ready_for_review',
  'converted_to_draft',
]);

const positive = z.int().positive();
const pullRequestEvent = z.object({
  action: z.string(),
  number: positive,
  repository: z.object({ id: positive, full_name: z.string().regex(/^[\w.-]+\/[\w.-]+$/) }),
  installation: z.object({ id: positive }).optional(),
});

/**
 * @throws InvalidInputError with code `InvalidDelivery` when the headers or the fields we use are not what GitHub
 *   documents.
 */
export function parseDelivery({ id, event, body }: Delivery): DeliveryHint {
  if (!DELIVERY_ID.test(id)) throw invalid('X-GitHub-Delivery is not an identifier');
  if (event !== 'pull_request')
    return { type: 'ignored', deliveryId: id, reason: 'not a pull_request event' };

  const parsed = pullRequestEvent.safeParse(parseJson(body));
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error), parsed.error);

  const { action, number, repository, installation } = parsed.data;
  if (!ACTIONS.has(action)) {
    return { type: 'ignored', deliveryId: id, reason: 'the action changes nothing about the environment' };
  }
  if (!installation) {
    return { type: 'ignored', deliveryId: id, reason: 'not delivered to an installation of the app' };
  }
  return {
    type: 'pull-request',
    deliveryId: id,
    action,
    repository: repository.full_name,
    repositoryId: repository.id,
    installationId: installation.id,
    number,
  };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw invalid('the body is not JSON', error);
  }
}

function invalid(message: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError({ code: 'InvalidDelivery', message, cause });
}
