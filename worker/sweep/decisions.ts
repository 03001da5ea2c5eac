// What a look at all environments finds to do. Pure: what is known goes in, what to do comes out.
import { findCondition } from '../../src/environments/conditions.ts';
import type { Environment } from '../../src/environments/resource.ts';

export interface SweepView {
  environments: readonly Environment[];
  /** The API server's time. */
  nowMs: number;
  /** Whether that time can be relied on to delete something. */
  isTimeTrusted: boolean;
  /** UIDs of those that the look before this one found expired. */
  expiredBefore: ReadonlySet<string>;
  /** UIDs of those that were looked at thoroughly a short time ago. */
  lookedAt: ReadonlySet<string>;
  maxLifetimeMs: number;
}

export interface SweepDecisions {
  /** To be reconciled: something is wanted that was not observed yet. */
  reconcile: readonly Environment[];
  /** Compared with the world again although nothing is known to be missing, and so are their pull requests. */
  lookAt: readonly Environment[];
  /** Expired at two looks. */
  expire: readonly Environment[];
  /** Those with a time to live beyond the longest life there is, which can only be written past the service. */
  shorten: readonly { environment: Environment; expiresAt: string }[];
  /** UIDs, for the next look. */
  expired: ReadonlySet<string>;
}

export function decideSweep(view: SweepView): SweepDecisions {
  const { environments, nowMs, isTimeTrusted, expiredBefore, lookedAt, maxLifetimeMs } = view;
  const alive = environments.filter(({ metadata }) => !metadata.deletionTimestamp);
  const reconcile = environments.filter(isUnobserved);
  const expired = isTimeTrusted ? alive.filter(({ spec }) => Date.parse(spec.expiresAt) <= nowMs) : [];
  return {
    reconcile,
    lookAt: alive.filter(
      (environment) =>
        !isUnobserved(environment) && isReady(environment) && !lookedAt.has(uidOf(environment)),
    ),
    expire: expired.filter((environment) => expiredBefore.has(uidOf(environment))),
    expired: new Set(expired.map(uidOf)),
    shorten: alive.flatMap((environment) => {
      const latestMs = Date.parse(environment.metadata.creationTimestamp ?? '') + maxLifetimeMs;
      if (!(Date.parse(environment.spec.expiresAt) > latestMs)) return [];
      return [{ environment, expiresAt: new Date(latestMs).toISOString() }];
    }),
  };
}

/** What failed for good was observed: it is not tried again until its environment changes. */
export function isUnobserved({ metadata, status }: Environment): boolean {
  return metadata.deletionTimestamp !== undefined || status?.observedGeneration !== metadata.generation;
}

export function uidOf({ metadata }: Environment): string {
  return metadata.uid ?? '';
}

function isReady({ status }: Environment): boolean {
  return findCondition(status?.conditions, 'Ready')?.status === 'True';
}
