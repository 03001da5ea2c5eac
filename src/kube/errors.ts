// What the Kubernetes API refuses with, as errors, and the questions callers ask about them.
import { MayflyError, UnavailableError } from '../lib/errors.ts';
import type { KubeStatus } from './resource.ts';

interface KubeErrorDetails {
  /** The HTTP status, or the `code` of a `Status` that came inside a watch. */
  status: number;
  reason: string;
  message: string;
  details?: KubeStatus['details'];
  retryAfterMs?: number;
}

/**
 * The API server answered, and the answer is no. `code` is the `reason` of its `Status` (`NotFound`, `Conflict`, `Expired`…);
 * an answer without one, from a proxy in between for example, has the code `Http<status>`.
 */
export class KubeError extends MayflyError {
  readonly status: number;
  /** What the refusal is about; `causes` name the invalid fields. */
  readonly details: KubeStatus['details'];
  /** How long the server asks to wait before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor({ status, reason, message, details, retryAfterMs }: KubeErrorDetails) {
    super({ code: reason, message });
    this.status = status;
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }

  /** The same as `code`, in the API's own word. */
  get reason(): string {
    return this.code;
  }
}

/** The error that a `Status` object says, whether it was the body of an answer or an event of a watch. */
export function errorOfStatus(status: KubeStatus, httpStatus?: number, retryAfterMs?: number): KubeError {
  const code = httpStatus ?? status.code ?? 500;
  const seconds = status.details?.retryAfterSeconds;
  return new KubeError({
    status: code,
    reason: status.reason || `Http${code}`,
    message: status.message || `the Kubernetes API answered with status ${code}`,
    details: status.details,
    retryAfterMs: retryAfterMs ?? (seconds ? seconds * 1000 : undefined),
  });
}

function isKubeError(error: unknown, status: number, ...reasons: string[]): boolean {
  return error instanceof KubeError && (error.status === status || reasons.includes(error.code));
}

export function isNotFound(error: unknown): boolean {
  return isKubeError(error, 404, 'NotFound');
}

/** The object has moved on since it was read. `AlreadyExists` has the same HTTP status and is no such conflict. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.code === 'Conflict';
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.code === 'AlreadyExists';
}

/** The resource version or continue token is older than what the server keeps: list again. */
export function isGone(error: unknown): boolean {
  return isKubeError(error, 410, 'Expired', 'Gone');
}

export function isForbidden(error: unknown): boolean {
  return isKubeError(error, 403, 'Forbidden');
}

/** Creations are refused for good: a namespace that is being deleted never comes back. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof KubeError &&
    (error.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating')
  );
}

export function isInvalid(error: unknown): boolean {
  return isKubeError(error, 422, 'Invalid');
}

/** Whether the same request may succeed later: 429, 5xx, or no answer at all. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof KubeError) return error.status === 429 || error.status >= 500;
  return error instanceof UnavailableError;
}
