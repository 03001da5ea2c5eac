// How every request to GitHub is made: authenticated, within a time limit, spaced, and tried again when that is safe.
// Octokit's retry and throttling plugins cannot be aborted while they wait and have no clock to inject.
import { RequestError } from '@octokit/request-error';
import { type Backoff, backoffDelayMs } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { RateLimitedError, toMayflyError } from './errors.ts';
import type { WriteGate } from './write-gate.ts';

const ATTEMPTS = 4;
const REQUEST_TIMEOUT_MS = 15_000;
/** A longer pause is not waited for: the job ends with RateLimitedError and comes back. */
const MAX_PAUSE_MS = 60_000;
const OUTAGE_BACKOFF: Backoff = { baseMs: 500, maxMs: 8_000 };
/** Without a header that says more, GitHub wants at least a minute, and exponentially more. */
const UNTOLD_PAUSE: Backoff = { baseMs: 120_000, maxMs: 900_000 };

export interface PolicyRequest {
  method: string;
  url: string;
  headers: Record<string, string | number | undefined>;
  request?: { signal?: AbortSignal } & Record<string, unknown>;
}

export interface RequestPolicyDeps {
  clock: Clock;
  logger: Logger;
  gate: WriteGate;
  /** Value of the Authorization header; `renew` when GitHub refused the last one. */
  authorization(options: { renew: boolean }): Promise<string>;
}

/** @returns the `hook` of an Octokit authentication strategy; it throws only classes of src/lib/errors.ts. */
export function createRequestPolicy({ clock, logger, gate, authorization }: RequestPolicyDeps) {
  return async <O extends PolicyRequest, R>(send: (options: O) => R | Promise<R>, options: O): Promise<R> => {
    const signal = options.request?.signal ?? new AbortController().signal;
    const name = `${options.method} ${options.url}`;
    const isWrite = !isRead(options);
    let renew = false;
    let renewed = false;

    const sendOnce = async (): Promise<R> => {
      const pauseMs = gate.pauseLeftMs();
      if (pauseMs > MAX_PAUSE_MS) throw new RateLimitedError(pauseMs, undefined);
      if (pauseMs > 0) await clock.sleep(pauseMs, signal);
      const headers = {
        ...options.headers,
        authorization: await unlessAborted(authorization({ renew }), signal),
      };
      renew = false;
      const limited = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
      return await send({ ...options, headers, request: { ...options.request, signal: limited } });
    };

    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      try {
        return isWrite ? await gate.write(sendOnce, signal) : await sendOnce();
      } catch (error) {
        signal.throwIfAborted();
        const pauseMs = pauseAskedForMs(error, attempt, clock.nowMs());
        const isLast = attempt + 1 >= ATTEMPTS;
        if (pauseMs !== undefined) {
          gate.pauseFor(pauseMs);
          if (isLast) throw new RateLimitedError(pauseMs, error);
          logger.warn({ request: name, pauseMs }, 'GitHub asks for a pause');
        } else if (hasStatus(error, 401) && !renewed) {
          renewed = true;
          renew = true;
        } else if (isOutage(error) && isRepeatable(options) && !isLast) {
          const delayMs = backoffDelayMs(OUTAGE_BACKOFF, attempt);
          logger.warn({ request: name, delayMs, reason: errorMessage(error) }, 'GitHub failed, trying again');
          await clock.sleep(delayMs, signal);
        } else {
          throw toMayflyError(error, name);
        }
      }
    }
  };
}

/** Issuing a token leaves nothing behind that another one would not: it needs no spacing, and may be repeated. */
function isRead({ method, url }: PolicyRequest): boolean {
  return method === 'GET' || method === 'HEAD' || url.endsWith('/access_tokens');
}

/** Any other POST may have been carried out although its answer is an error: its caller looks before it tries again. */
function isRepeatable(options: PolicyRequest): boolean {
  return options.method !== 'POST' || isRead(options);
}

function hasStatus(error: unknown, status: number): boolean {
  return error instanceof RequestError && error.status === status;
}

function isOutage(error: unknown): boolean {
  return error instanceof RequestError && error.status >= 500;
}

/**
 * How long GitHub wants to be left alone, in milliseconds; undefined when the error is no rate limit
 * (docs.github.com, "Rate limits for the REST API": retry-after first, then x-ratelimit-reset, else a minute or more).
 */
function pauseAskedForMs(error: unknown, attempt: number, nowMs: number): number | undefined {
  if (!(error instanceof RequestError) || (error.status !== 403 && error.status !== 429)) return undefined;
  const headers = error.response?.headers ?? {};
  const retryAfterSeconds = Number(headers['retry-after'] ?? Number.NaN);
  if (Number.isFinite(retryAfterSeconds)) return Math.max(0, retryAfterSeconds * 1000);

  if (headers['x-ratelimit-remaining'] === '0') {
    const resetSeconds = Number(headers['x-ratelimit-reset'] ?? Number.NaN);
    if (Number.isFinite(resetSeconds)) return Math.max(0, resetSeconds * 1000 - nowMs) + 1000;
  }
  const isLimit = error.status === 429 || /secondary rate limit/i.test(error.message);
  return isLimit ? backoffDelayMs(UNTOLD_PAUSE, attempt) : undefined;
}

/** The promise may be shared with other callers, so it goes on; only this caller stops waiting for it. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
