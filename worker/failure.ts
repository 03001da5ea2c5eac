// What an error of a step means for the environment: whether to try again, and what its condition says.
import { isInvalid } from '../src/kube/errors.ts';
import { errorMessage, ForbiddenError, InvalidInputError, MayflyError } from '../src/lib/errors.ts';

export interface Failure {
  /** Nothing changes until the environment does: no retry. */
  terminal: boolean;
  /** For a condition: PascalCase. */
  reason: string;
  message: string;
}

/** The limit for messages in conditions is 32 KiB; what a person reads is far less. */
const MAX_MESSAGE_LENGTH = 4_096;
/** The API convention for `reason`. */
const REASON = /^[A-Za-z](?:[A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;

export function failureOf(error: unknown): Failure {
  const code = error instanceof MayflyError ? error.code : '';
  return {
    terminal: error instanceof InvalidInputError || error instanceof ForbiddenError || isInvalid(error),
    reason: REASON.test(code) ? code : 'InternalError',
    message: errorMessage(error).slice(0, MAX_MESSAGE_LENGTH),
  };
}
