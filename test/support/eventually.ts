// Waiting for a condition of the outside world, with a limit and a reason when it does not come.
import { errorMessage } from '../../src/lib/errors.ts';

export interface EventuallyOptions {
  /** What is waited for, as it should read in the error: `the page shows the new commit`. */
  what: string;
  timeoutMs: number;
  intervalMs?: number;
  signal?: AbortSignal;
}

/** Runs `attempt` until it neither throws nor returns undefined, and returns what it returned. */
export async function eventually<T>(
  attempt: (signal: AbortSignal) => Promise<T | undefined>,
  { what, timeoutMs, intervalMs = 200, signal }: EventuallyOptions,
): Promise<T> {
  const limit = AbortSignal.timeout(timeoutMs);
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  let last = 'it never held';
  while (!stop.aborted) {
    try {
      const result = await attempt(stop);
      if (result !== undefined) return result;
    } catch (error) {
      last = errorMessage(error);
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, intervalMs);
      stop.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
    });
  }
  signal?.throwIfAborted();
  throw new Error(`After ${timeoutMs} ms still waiting until ${what}: ${last}`);
}
