// What the API server is told when something cannot be done: a status, and words without the host's names.
import type { IncomingMessage } from 'node:http';
import { addAbortSignal } from 'node:stream';
import { readText } from '../../kube/body.ts';
import type { KubeStatus } from '../../kube/resource.ts';
import {
  errorMessage,
  ForbiddenError,
  InvalidInputError,
  NotFoundError,
  TimeoutError,
  UnavailableError,
} from '../../lib/errors.ts';

export interface Failure {
  status: number;
  reason: string;
  message: string;
}

const MAX_BODY_BYTES = 64 * 1024;
const BODY_TIMEOUT_MS = 10_000;

export function failureOf(error: unknown): Failure {
  const message = errorMessage(error);
  if (error instanceof NotFoundError) return { status: 404, reason: 'NotFound', message };
  if (error instanceof InvalidInputError) return { status: 400, reason: 'BadRequest', message };
  if (error instanceof ForbiddenError) return { status: 403, reason: 'Forbidden', message };
  if (error instanceof TimeoutError) return { status: 504, reason: 'Timeout', message };
  if (error instanceof UnavailableError) return { status: 503, reason: 'ServiceUnavailable', message };
  return { status: 500, reason: 'InternalError', message: 'the syncer failed' };
}

/**
 * What the host API answered instead of a stream.
 * @param translate replaces names of the host by virtual ones.
 * @throws UnavailableError when the answer breaks off.
 */
export async function hostFailure(
  response: IncomingMessage,
  status: number,
  translate: (text: string) => string,
): Promise<Failure> {
  const signal = AbortSignal.timeout(BODY_TIMEOUT_MS);
  const text = await readText(addAbortSignal(signal, response), MAX_BODY_BYTES, signal);
  // Who is refused there is the syncer, not the user: its name and rights are no business of theirs.
  if (status === 401 || status === 403) {
    return {
      status: 502,
      reason: 'InternalError',
      message: 'the host cluster does not let the syncer do this',
    };
  }
  const { message = text, reason = 'InternalError' } = statusOf(text);
  return { status: status >= 400 ? status : 502, reason, message: translate(message) };
}

export function asStatus({ status, reason, message }: Failure): KubeStatus & { apiVersion: string } {
  return { apiVersion: 'v1', kind: 'Status', status: 'Failure', code: status, reason, message };
}

function statusOf(text: string): Pick<KubeStatus, 'message' | 'reason'> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}
