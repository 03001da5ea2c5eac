// What GitHub's refusals and outages mean in our terms: the only place that reads its status codes.
import { RequestError } from '@octokit/request-error';
import {
  ConflictError,
  ForbiddenError,
  InvalidInputError,
  MayflyError,
  NotFoundError,
  TimeoutError,
  UnauthenticatedError,
  UnavailableError,
} from '../lib/errors.ts';

/** GitHub asks to be left alone for longer than a call may wait; the whole job is to come back later. */
export class RateLimitedError extends UnavailableError {
  /** How long GitHub wants no requests of this installation, in milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, cause: unknown) {
    super({
      code: 'GitHubRateLimited',
      message: `GitHub accepts no requests for another ${Math.ceil(retryAfterMs / 1000)} s`,
      cause,
    });
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The error to throw for a failed request. `request` names it for people: `GET /repos/{owner}/{repo}`.
 * Status 500 without a response is a connection that failed (@octokit/request reports it so).
 */
export function toMayflyError(error: unknown, request: string): MayflyError {
  if (error instanceof MayflyError) return error;
  if (!(error instanceof RequestError)) {
    return new UnavailableError({
      code: 'GitHubUnreachable',
      message: `GitHub did not answer ${request}`,
      cause: error,
    });
  }
  if (!error.response) {
    const timedOut = error.cause instanceof DOMException && error.cause.name === 'TimeoutError';
    const details = {
      code: timedOut ? 'GitHubTimeout' : 'GitHubUnreachable',
      message: `GitHub did not answer ${request}: ${error.message}`,
      cause: error,
    };
    return timedOut ? new TimeoutError(details) : new UnavailableError(details);
  }
  const { status } = error;
  const message = `GitHub answered ${status} to ${request}: ${error.message}`;
  if (status === 401) {
    return new UnauthenticatedError({ code: 'GitHubCredentialRefused', message, cause: error });
  }
  if (status === 404 || status === 410) {
    return new NotFoundError({ code: 'GitHubNotFound', message, cause: error });
  }
  if (status === 409) return new ConflictError({ code: 'GitHubConflict', message, cause: error });
  if (status === 403 || status === 451) {
    return new ForbiddenError({ code: 'GitHubForbidden', message, cause: error });
  }
  if (status < 500) return new InvalidInputError({ code: 'GitHubRefused', message, cause: error });
  return new UnavailableError({ code: 'GitHubUnavailable', message, cause: error });
}
