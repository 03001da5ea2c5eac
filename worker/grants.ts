// Waiting for a right that was granted a moment ago: the API server's authorizer learns of new roles and bindings by a watch.
import { isForbidden, isNamespaceTerminating, isNotFound } from '../src/kube/errors.ts';
import { retry } from '../src/lib/backoff.ts';
import type { Clock } from '../src/lib/clock.ts';

const BACKOFF = { baseMs: 20, maxMs: 1_000 };
const ATTEMPTS = 12;

/** Tries again for some seconds while the API server forbids it, or does not know the role yet that is to be bound. */
export function onceGranted<T>(
  operation: () => Promise<T>,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<T> {
  const isRetryable = (error: unknown) =>
    !isNamespaceTerminating(error) && (isForbidden(error) || isNotFound(error));
  return retry(operation, { backoff: BACKOFF, attempts: ATTEMPTS, isRetryable, signal, clock });
}
