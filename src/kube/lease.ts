// Mutual exclusion between processes by a coordination.k8s.io Lease. Trusts no clock but its own monotonic one.
import { randomUUID } from 'node:crypto';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ConflictError, errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { CallOptions, KubeClient } from './client.ts';
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts';
import type { KubeObject, ResourceType } from './resource.ts';

export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/** Times are MicroTime: RFC 3339 with six digits of the second. */
export interface LeaseObject extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface LeaseOptions {
  client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  namespace: string;
  name: string;
  /** Who holds it, for people who look. Two acquisitions under the same name still exclude each other. */
  holder: string;
  /** After a holder dies, others wait this long. Rounded up to whole seconds. */
  durationMs: number;
  clock?: Clock;
  logger: Logger;
}

export interface HeldLease {
  /**
   * Aborts while nobody else can have taken the lease yet: when four fifths of its duration passed since the last renewal
   * that succeeded was sent, when somebody else is found to hold it, and when it is released.
   */
  readonly lost: AbortSignal;
  /**
   * Whether the lease is held at this very moment. To be asked right before a write by a process that may have been stopped
   * and resumed: its code can run before the timer behind `lost`. Aborts `lost` when the time is over.
   */
  isHeld(): boolean;
  /** Lets others acquire the lease at once. Never rejects: when the API cannot be reached the lease runs out. */
  release(): Promise<void>;
}

export interface Lease {
  /**
   * Takes the lease when it is free, was released, or its holder is dead. Whether a holder is dead is found out by watching
   * whether it renews, for as long as its lease lasts, so clocks of different machines are never compared.
   * @returns nothing when somebody else holds it and is alive.
   * @throws as the client does; the signal's reason when it aborts.
   */
  acquire(signal: AbortSignal): Promise<HeldLease | undefined>;
}

/** Of the duration: the rest is for writes on their way when the lease is given up. */
const USABLE_SHARE = 4 / 5;
const RENEWALS_PER_DURATION = 3;
const CALL_TIMEOUT_MS = 10_000;

export function createLease(options: LeaseOptions): Lease {
  const { client, namespace, name, holder, clock = systemClock } = options;
  const leaseDurationSeconds = Math.ceil(options.durationMs / 1000);
  const durationMs = leaseDurationSeconds * 1000;

  async function read(signal: AbortSignal): Promise<LeaseObject | undefined> {
    try {
      return await client.get<LeaseObject>(
        LEASES,
        { namespace, name },
        { signal, timeoutMs: CALL_TIMEOUT_MS },
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Writes our identity over a lease that is free; undefined when somebody else was faster. */
  async function take(
    free: LeaseObject | undefined,
    identity: string,
    signal: AbortSignal,
  ): Promise<HeldLease | undefined> {
    const sentMs = clock.monotonicMs();
    const now = microTime(clock.nowMs());
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: free ? (free.spec?.leaseTransitions ?? 0) + 1 : 0,
    };
    const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
    try {
      const taken = free
        ? await client.update<LeaseObject>(LEASES, { ...free, spec }, call)
        : await client.create<LeaseObject>(LEASES, { metadata: { namespace, name }, spec }, call);
      return hold({ ...options, clock, durationMs }, taken, sentMs);
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error) || (free && isNotFound(error))) return undefined;
      throw error;
    }
  }

  return {
    async acquire(signal) {
      const identity = `${holder}_${randomUUID()}`;
      let seen: { resourceVersion: string | undefined; atMs: number } | undefined;
      for (;;) {
        const current = await read(signal);
        if (!current?.spec?.holderIdentity) return take(current, identity, signal);
        const { resourceVersion } = current.metadata;
        if (seen && seen.resourceVersion !== resourceVersion) return undefined;
        seen ??= { resourceVersion, atMs: clock.monotonicMs() };
        const othersDurationMs = (current.spec.leaseDurationSeconds ?? leaseDurationSeconds) * 1000;
        const leftMs = seen.atMs + othersDurationMs - clock.monotonicMs();
        if (leftMs <= 0) return take(current, identity, signal);
        await clock.sleep(Math.min(leftMs, othersDurationMs / RENEWALS_PER_DURATION), signal);
      }
    },
  };
}

/** Renews what was taken by a request sent at `takenMs`, until it is lost or released. */
function hold(
  { client, clock, durationMs, logger, name }: LeaseOptions & { clock: Clock },
  taken: LeaseObject,
  takenMs: number,
): HeldLease {
  const lost = new AbortController();
  let current = taken;
  let heldUntilMs = takenMs + durationMs * USABLE_SHARE;

  function lose(code: string, message: string): void {
    lost.abort(new ConflictError({ code, message: `the lease ${name} ${message}` }));
  }

  function isHeld(): boolean {
    if (!lost.signal.aborted && clock.monotonicMs() >= heldUntilMs) {
      lose('LeaseLost', 'could not be renewed in time');
    }
    return !lost.signal.aborted;
  }

  /** @throws KubeError `Conflict` when it is no longer ours. */
  async function write(change: Partial<LeaseObject['spec']>, call: CallOptions): Promise<void> {
    const identity = taken.spec?.holderIdentity;
    for (;;) {
      try {
        const changed = { ...current, spec: { ...current.spec, ...change } };
        current = await client.update<LeaseObject>(LEASES, changed, call);
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
        const { namespace = '', name = '' } = taken.metadata;
        const found = await client.get<LeaseObject>(LEASES, { namespace, name }, call);
        if (found.spec?.holderIdentity !== identity) throw error;
        current = found;
      }
    }
  }

  async function renewUntilLost(): Promise<void> {
    const intervalMs = durationMs / RENEWALS_PER_DURATION;
    let waitMs = intervalMs;
    for (let failures = 0; isHeld(); ) {
      await clock
        .sleep(Math.min(waitMs, heldUntilMs - clock.monotonicMs()), lost.signal)
        .catch(() => undefined);
      if (!isHeld()) return;
      const sentMs = clock.monotonicMs();
      try {
        const renewTime = microTime(clock.nowMs());
        await write({ renewTime }, { signal: lost.signal, timeoutMs: heldUntilMs - sentMs });
        heldUntilMs = sentMs + durationMs * USABLE_SHARE;
        waitMs = intervalMs;
        failures = 0;
      } catch (error) {
        if (lost.signal.aborted) return;
        if (isConflict(error) || isNotFound(error)) return lose('LeaseLost', 'is held by somebody else');
        logger.warn({ lease: name, reason: errorMessage(error) }, 'lease not renewed, trying again');
        waitMs = backoffDelayMs({ baseMs: intervalMs / 16, maxMs: intervalMs / 2 }, failures++);
      }
    }
  }

  const renewing = renewUntilLost();

  return {
    lost: lost.signal,
    isHeld,
    async release() {
      const held = isHeld();
      lose('LeaseReleased', 'was released');
      await renewing;
      if (!held) return;
      try {
        const call = { signal: new AbortController().signal, timeoutMs: CALL_TIMEOUT_MS };
        await write({ holderIdentity: '', renewTime: microTime(clock.nowMs()) }, call);
      } catch (error) {
        logger.warn({ lease: name, reason: errorMessage(error) }, 'lease not released, it runs out instead');
      }
    },
  };
}

function microTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '000Z');
}
