import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKubeClient } from '../../../src/kube/client.ts';
import { endpointOf } from '../../../src/kube/endpoint.ts';
import { createLease, LEASES, type LeaseObject } from '../../../src/kube/lease.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { openBreakableLink } from '../../support/breakable-link.ts';
import { API_SERVER_NAME, createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';

const DURATION_MS = 3_000;

describe('leases on a real API server', () => {
  let test: TestNamespace;
  beforeAll(async () => {
    test = await createTestNamespace('kube-lease');
  });
  afterAll(() => test.remove());

  const leaseOf = (name: string, holder: string, client = test.client) =>
    createLease({
      client,
      namespace: test.namespace,
      name,
      holder,
      durationMs: DURATION_MS,
      logger: pino({ level: 'silent' }),
    });
  const limit = () => AbortSignal.timeout(30_000);
  const stored = (name: string) =>
    test.client.get<LeaseObject>(LEASES, { namespace: test.namespace, name }, { signal: limit() });

  it('have one holder at a time, and change hands on release', async () => {
    const contenders = ['a', 'b', 'c', 'd'].map((holder) => leaseOf('contended', holder).acquire(limit()));
    const held = (await Promise.all(contenders)).filter((lease) => lease !== undefined);
    expect(held).toHaveLength(1);
    const { spec } = await stored('contended');
    expect(spec).toMatchObject({ leaseDurationSeconds: 3, renewTime: expect.stringMatching(/\.\d{6}Z$/) });
    await held[0]?.release();
    const next = await leaseOf('contended', 'e').acquire(limit());
    expect(next?.isHeld()).toBe(true);
    expect((await stored('contended')).spec?.leaseTransitions).toBe((spec?.leaseTransitions ?? 0) + 1);
    await next?.release();
  });

  it('are lost by a holder that is cut off before anybody else has them', async () => {
    const link = await openBreakableLink(endpointOf(test.connection));
    const server = `https://127.0.0.1:${link.port}`;
    const cutOff = createKubeClient(
      createTransport({ ...test.connection, server, servername: API_SERVER_NAME }, { process: 'test' }),
    );
    const first = await leaseOf('cut-off', 'a', cutOff).acquire(limit());
    if (!first) throw new Error('not acquired');
    let lostMs = Number.POSITIVE_INFINITY;
    first.lost.addEventListener('abort', () => {
      lostMs = performance.now();
    });
    link.silence();
    const second = await leaseOf('cut-off', 'b').acquire(limit());
    const takenMs = performance.now();
    expect(second?.isHeld()).toBe(true);
    expect(first.isHeld()).toBe(false);
    expect(lostMs).toBeLessThan(takenMs);
    await second?.release();
    await cutOff.close();
    await link.close();
  });
});
