// What a user is told of a reconcile that failed, on the object it is about.
import { isConflict, isNotFound, isRetryable, KubeError } from '../../kube/errors.ts';
import type { Warning } from './recorder.ts';

/** After so many tries an internal error is taken for one that is about this object, and stays: it would have passed by now. */
const INTERNAL_ERROR_TRIES = 4;

/** The world has moved on since it was looked at, which the next look will show. */
export function isOvertaken(error: unknown): boolean {
  return isConflict(error) || isNotFound(error);
}

/**
 * Nothing where it passes without the user.
 * @param retries how often it had failed before.
 * @param tell puts names inside in place of the host's.
 */
export function failureToTell(
  error: unknown,
  retries: number,
  tell: (text: string) => string,
): Omit<Warning, 'reason'> | undefined {
  if (!(error instanceof KubeError) || isOvertaken(error)) return undefined;
  const sameAs = error.code;
  if (!isRetryable(error)) return { message: tell(error.message), sameAs };
  if (error.status !== 500 || retries < INTERNAL_ERROR_TRIES) return undefined;
  // In its own words an internal error may name anything, addresses of the host's webhooks for one.
  return { message: 'the host has an internal error with it', sameAs };
}
