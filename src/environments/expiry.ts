// When an environment ends: computed and checked by the service's clock, never taken from whoever asks for it.
import type { Clock } from '../lib/clock.ts';
import { InvalidInputError } from '../lib/errors.ts';
import type { Environment } from './resource.ts';

export interface TtlLimits {
  /** For who asks for no time to live. */
  defaultTtlMs: number;
  /** The longest time to live that one request or push gives. */
  maxTtlMs: number;
  /** From creation to the end, however often it is extended. */
  maxLifetimeMs: number;
}

/**
 * `expiresAt` of a new environment, RFC 3339.
 * @throws InvalidInputError `TtlTooLong`
 */
export function firstExpiry(ttlMs: number | undefined, limits: TtlLimits, clock: Clock): string {
  const maxMs = Math.min(limits.maxTtlMs, limits.maxLifetimeMs);
  if (ttlMs !== undefined && ttlMs > maxMs) {
    throw new InvalidInputError({
      code: 'TtlTooLong',
      message: `The time to live is at most ${Math.floor(maxMs / 1000)} seconds`,
    });
  }
  return toTimestamp(clock.nowMs() + (ttlMs ?? Math.min(limits.defaultTtlMs, maxMs)));
}

/** `expiresAt` after a push: later by the time to live, within the limits, and never earlier than it was. */
export function extendedExpiry(
  { metadata, spec }: Pick<Environment, 'metadata' | 'spec'>,
  ttlMs: number | undefined,
  limits: TtlLimits,
  clock: Clock,
): string {
  const wantedMs = clock.nowMs() + Math.min(ttlMs ?? limits.defaultTtlMs, limits.maxTtlMs);
  const createdMs = Date.parse(metadata.creationTimestamp ?? '');
  const latestMs = (Number.isNaN(createdMs) ? clock.nowMs() : createdMs) + limits.maxLifetimeMs;
  return toTimestamp(Math.max(Date.parse(spec.expiresAt), Math.min(wantedMs, latestMs)));
}

/** Milliseconds until the environment expires; not positive once it has. What cannot be read has expired. */
export function timeToExpiryMs({ spec }: Pick<Environment, 'spec'>, clock: Clock): number {
  const expiresMs = Date.parse(spec.expiresAt);
  return Number.isNaN(expiresMs) ? 0 : expiresMs - clock.nowMs();
}

export function isExpired(environment: Pick<Environment, 'spec'>, clock: Clock): boolean {
  return timeToExpiryMs(environment, clock) <= 0;
}

function toTimestamp(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
