// The few error classes of the whole program. Code is stable and meant for machines; each edge
// (problem+json, Kubernetes conditions and events, the terminal) maps a class to its own terms, once.

export interface ErrorDetails {
  /** Stable, in PascalCase, as Kubernetes writes reasons: `InvalidManifest`, `QuotaExceeded`. */
  code: string;
  message: string;
  cause?: unknown;
}

/** Anything that went wrong and that we can say a reason for. */
export class MayflyError extends Error {
  readonly code: string;
  constructor({ code, message, cause }: ErrorDetails) {
    super(message, { cause });
    this.name = new.target.name;
    this.code = code;
  }
}

/** The caller sent something that can never succeed as it is; trying again does not help. */
export class InvalidInputError extends MayflyError {}

/** Who calls is not known: no credential, or one that is not valid. */
export class UnauthenticatedError extends MayflyError {}

/** Who calls is known and may not do this. */
export class ForbiddenError extends MayflyError {}

/** What was named does not exist, or may not be known to the caller. */
export class NotFoundError extends MayflyError {}

/** The state has moved on since the caller looked: read again, then decide again. */
export class ConflictError extends MayflyError {}

/** Something we depend on does not answer now; the same call may succeed later. */
export class UnavailableError extends MayflyError {}

/** A time limit of ours ran out. */
export class TimeoutError extends UnavailableError {}

/** The message of anything thrown, without its stack. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
