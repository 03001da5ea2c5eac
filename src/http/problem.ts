// From an error to a problem: the one place where our errors become HTTP statuses.
import { STATUS_CODES } from 'node:http';
import * as z from 'zod';
import type { Problem } from '../api/problem.ts';
import { KubeError } from '../kube/errors.ts';
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

/** The first class that an error is an instance of decides, so subclasses come first. */
const STATUSES: readonly [abstract new (...args: never[]) => MayflyError, number][] = [
  [InvalidInputError, 400],
  [UnauthenticatedError, 401],
  [ForbiddenError, 403],
  [NotFoundError, 404],
  [ConflictError, 409],
  [TimeoutError, 504],
  [UnavailableError, 503],
];

/** Thrown by our own middleware for what only HTTP knows. */
export class HttpError extends MayflyError {
  readonly status: number;
  constructor(status: number, code: string, message: string) {
    super({ code, message });
    this.status = status;
  }
}

/** A request that does not match the schema of its route. */
export class InvalidRequestError extends InvalidInputError {
  readonly fields: { path: string; message: string }[];
  constructor(part: 'params' | 'query' | 'body', error: z.ZodError) {
    super({ code: 'InvalidRequest', message: `The ${part} of the request is not valid`, cause: error });
    this.fields = error.issues.map(({ path, message }) => ({ path: z.core.toDotPath(path), message }));
  }
}

/** What body-parser throws: an error with the status for the client. */
const bodyParserError = z.object({ status: z.int().min(400).max(499), type: z.string() });
const BODY_PROBLEMS: Record<number, { code: string; detail: string }> = {
  413: { code: 'BodyTooLarge', detail: 'The body of the request is too large' },
  415: { code: 'UnsupportedMediaType', detail: 'The body is encoded in a way that is not supported' },
};

/** Details of errors that are the service's own fault stay in its log. */
export function problemOf(error: unknown, requestId: string): Problem {
  const { status, code, detail, errors } = describe(error);
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code,
    detail,
    requestId,
    errors,
  };
}

function describe(error: unknown): Pick<Problem, 'status' | 'code' | 'detail' | 'errors'> {
  if (error instanceof HttpError) return { status: error.status, code: error.code, detail: error.message };
  if (error instanceof KubeError) return kubeProblem(error);
  if (error instanceof MayflyError) {
    const status = STATUSES.find(([errorClass]) => error instanceof errorClass)?.[1];
    const errors = error instanceof InvalidRequestError ? error.fields : undefined;
    if (status) return { status, code: error.code, detail: error.message, errors };
  }
  const parsed = bodyParserError.safeParse(error);
  if (parsed.success) {
    const { status } = parsed.data;
    const known = BODY_PROBLEMS[status] ?? { code: 'InvalidBody', detail: 'The body cannot be read' };
    return { status, ...known };
  }
  return { status: 500, code: 'Internal', detail: 'The service failed; its log says why' };
}

function kubeProblem({ status, code }: KubeError): Pick<Problem, 'status' | 'code' | 'detail'> {
  if (code === 'Conflict') {
    return { status: 409, code, detail: 'Somebody else has changed it at the same time: try again' };
  }
  if (status === 429 || status >= 500) {
    return {
      status: 503,
      code: 'HostUnavailable',
      detail: 'The host cluster does not answer: try again later',
    };
  }
  return {
    status: 500,
    code: 'HostRefused',
    detail: 'The host cluster refused; the log of the service says why',
  };
}
