// What a job is: a name, the shape of its payload, how often and how long it is tried. Payloads carry names, never secrets.
import * as z from 'zod';
import type { Backoff } from '../lib/backoff.ts';
import { InvalidInputError } from '../lib/errors.ts';

export interface JobDefinition<Payload> {
  /** Also the name of its queue in Redis: each job has one of its own, so that slow ones do not hold up quick ones. */
  readonly name: string;
  readonly payload: z.ZodType<Payload>;
  /** Tries in all; a job that used them up is forgotten, because the sweep finds what is still missing. */
  readonly attempts: number;
  readonly backoff: Backoff;
  /** After this long a try is aborted through its signal, and counts as failed. */
  readonly timeoutMs: number;
  /** Of jobs with the same id one is active and one waits at most; the one that waits has the newest payload. */
  dedupeId(payload: Payload): string;
}

export function defineJob<Payload>(definition: JobDefinition<Payload>): JobDefinition<Payload> {
  return definition;
}

/** @throws InvalidInputError `InvalidJobPayload` */
export function parsePayload<Payload>({ name, payload }: JobDefinition<Payload>, data: unknown): Payload {
  const parsed = payload.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new InvalidInputError({
    code: 'InvalidJobPayload',
    message: `Job ${name}: ${z.prettifyError(parsed.error)}`,
    cause: parsed.error,
  });
}
