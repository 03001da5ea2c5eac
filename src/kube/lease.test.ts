import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../test/support/manual-clock.ts';
import { UnavailableError } from '../lib/errors.ts';
import { errorOfStatus } from './errors.ts';
import { createLease, type LeaseObject, type LeaseOptions } from './lease.ts';
import type { KubeObject } from './resource.ts';

const never = () => new AbortController().signal;

const noRoute = () => new UnavailableError({ code: 'KubernetesUnreachable', message: 'no route' });

/** The one Lease of an API server: writes need the newest resource version. Reachable or not, as a test says. */
function createLeaseApi() {
  let stored: LeaseObject | undefined;
  let version = 0;
  const api = {
    reachable: true,
    writes: 0,
    get current() {
      return stored;
    },
    remove() {
      stored = undefined;
    },
    touch() {
      if (stored) store(stored);
    },
  };
  const refuse = (code: number, reason: string) => errorOfStatus({ kind: 'Status', code, reason });
  const reach = () => {
    if (!api.reachable) throw noRoute();
  };
  const store = (object: LeaseObject): LeaseObject => {
    stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++version) },
    });
    api.writes++;
    return structuredClone(stored);
  };
  const client: LeaseOptions['client'] = {
    async get<T extends KubeObject>() {
      reach();
      if (!stored) throw refuse(404, 'NotFound');
      return structuredClone(stored) as KubeObject as T;
    },
    async create<T extends KubeObject>(_: unknown, object: T) {
      reach();
      if (stored) throw refuse(409, 'AlreadyExists');
      return store(object) as KubeObject as T;
    },
    async update<T extends KubeObject>(_: unknown, object: T) {
      reach();
      if (!stored) throw refuse(404, 'NotFound');
      if (object.metadata.resourceVersion !== stored.metadata.resourceVersion) throw refuse(409, 'Conflict');
      return store(object) as KubeObject as T;
    },
  };
  return { api, client };
}

describe('lease', () => {
  let clock: ManualClock;
  let server: ReturnType<typeof createLeaseApi>;
  beforeEach(() => {
    clock = createManualClock();
    server = createLeaseApi();
  });

  const leaseOf = (holder: string, options: Partial<LeaseOptions> = {}) =>
    createLease({
      client: server.client,
      namespace: 'mayfly',
      name: 'pr-1',
      holder,
      durationMs: 15_000,
      clock,
      logger: pino({ level: 'silent' }),
      ...options,
    });

  async function acquired(holder: string, options?: Partial<LeaseOptions>) {
    const held = await leaseOf(holder, options).acquire(never());
    if (!held) throw new Error('the lease is held by somebody else');
    return held;
  }

  it('is created with its holder, whole seconds and times to the microsecond', async () => {
    const held = await acquired('worker-1', { durationMs: 14_200 });
    expect(server.api.current?.spec).toEqual({
      holderIdentity: expect.stringMatching(/^worker-1_/),
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
    await held.release();
  });

  it('is renewed at a third of its duration, and never lost while that works', async () => {
    const held = await acquired('worker-1');
    await clock.advance(60_000);
    expect(held.isHeld()).toBe(true);
    expect(server.api.writes).toBe(1 + 12);
    expect(server.api.current?.spec?.renewTime).toBe('2026-01-01T00:01:00.000000Z');
    await held.release();
  });

  it('is not acquired while its holder renews it, by the same process neither', async () => {
    const held = await acquired('worker-1');
    const outcomes = [leaseOf('worker-2').acquire(never()), leaseOf('worker-1').acquire(never())];
    await clock.advance(11_000);
    expect(await Promise.all(outcomes)).toEqual([undefined, undefined]);
    expect(held.isHeld()).toBe(true);
    await held.release();
  });

  it('is acquired at once after its release, and counts the transition', async () => {
    const first = await acquired('worker-1');
    await first.release();
    expect(first.lost.aborted).toBe(true);
    expect(server.api.current?.spec?.holderIdentity).toBe('');
    const second = await acquired('worker-2');
    expect(server.api.current?.spec).toMatchObject({
      holderIdentity: expect.stringMatching(/^worker-2_/),
      leaseTransitions: 1,
    });
    await second.release();
  });

  it('is lost by a holder that cannot renew before anybody else can have it', async () => {
    let connected = true;
    const cutOff = await acquired('worker-1', {
      client: {
        ...server.client,
        update: (...request) => (connected ? server.client.update(...request) : Promise.reject(noRoute())),
      },
    });
    const at: Record<string, number> = {};
    cutOff.lost.addEventListener('abort', () => {
      at.lost = clock.monotonicMs();
    });
    await clock.advance(5_000);
    connected = false;
    const taking = leaseOf('worker-2')
      .acquire(never())
      .then((held) => {
        at.taken = clock.monotonicMs();
        return held;
      });
    await clock.advance(30_000);
    const taken = await taking;
    expect(taken?.isHeld()).toBe(true);
    expect(at).toEqual({ lost: 5_000 + 12_000, taken: 5_000 + 15_000 });
    await taken?.release();
  });

  it('is lost by a process that was stopped and resumed before any of its timers run', async () => {
    let stoppedMs = 0;
    const held = await acquired('worker-1', {
      clock: { ...clock, monotonicMs: () => clock.monotonicMs() + stoppedMs },
    });
    expect(held.isHeld()).toBe(true);
    stoppedMs = 12_000;
    expect(held.lost.aborted).toBe(false);
    expect(held.isHeld()).toBe(false);
    expect(held.lost.reason).toMatchObject({ code: 'LeaseLost' });
  });

  it('is lost at once when somebody else is found to hold it, or it was deleted', async () => {
    const first = await acquired('worker-1');
    server.api.remove();
    const second = await acquired('worker-2');
    await clock.advance(5_001);
    expect(first.isHeld()).toBe(false);
    expect(second.isHeld()).toBe(true);
    server.api.remove();
    await clock.advance(5_001);
    expect(second.isHeld()).toBe(false);
  });

  it('is kept through short outages and through changes that others make to the object', async () => {
    const held = await acquired('worker-1');
    server.api.reachable = false;
    await clock.advance(8_000);
    server.api.reachable = true;
    server.api.touch();
    await clock.advance(30_000);
    expect(held.isHeld()).toBe(true);
    await held.release();
    expect(server.api.current?.spec?.holderIdentity).toBe('');
  });

  it('does not care for jumps of the wall clock', async () => {
    const held = await acquired('worker-1');
    clock.jump(3_600_000);
    const other = leaseOf('worker-2').acquire(never());
    await clock.advance(11_000);
    expect(await other).toBeUndefined();
    clock.jump(-7_200_000);
    await clock.advance(20_000);
    expect(held.isHeld()).toBe(true);
    await held.release();
  });

  it('is taken by one of many who want it', async () => {
    const wanting = Array.from({ length: 10 }, (_, index) => leaseOf(`worker-${index}`).acquire(never()));
    await clock.advance(11_000);
    const winners = (await Promise.all(wanting)).filter((held) => held !== undefined);
    expect(winners).toHaveLength(1);
    await winners[0]?.release();
  });

  it('stops being waited for when the signal aborts', async () => {
    const held = await acquired('worker-1');
    const stop = new AbortController();
    const waiting = leaseOf('worker-2').acquire(stop.signal);
    const outcome = expect(waiting).rejects.toThrow('shutting down');
    await clock.advance(1);
    stop.abort(new Error('shutting down'));
    await outcome;
    await held.release();
  });
});
