// What becomes of objects that must not reach the host or that its API does not take.
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type HarnessOptions,
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { KubeError } from '../../kube/errors.ts';
import { PODS } from '../../kube/resource.ts';
import type { Pod } from '../objects.ts';

let syncer: SyncerHarness;
const run = async (options?: HarnessOptions) => {
  syncer = await startSyncer(options);
  return syncer;
};

afterEach(() => syncer?.stop());

describe('what the host refuses', () => {
  const quotaFull = () => {
    throw new KubeError({
      status: 403,
      reason: 'Forbidden',
      message: `pods "${hostKey('pods', 'default/web').split('/')[1]}" is forbidden: exceeded quota`,
    });
  };

  it('becomes one event on the virtual pod, with its own name, and recovers when there is room (F16)', async () => {
    const { virtual, host } = await run();
    host.intercept = ({ verb, type }) => {
      if (verb === 'create' && type === PODS) quotaFull();
    };
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() =>
      expect(
        host.requests.filter(({ verb, type }) => verb === 'create' && type === PODS).length,
      ).toBeGreaterThan(2),
    );
    expect(syncer.eventsOn('web')).toMatchObject([
      { reason: 'SyncFailed', type: 'Warning', message: 'pods "web" is forbidden: exceeded quota' },
    ]);
    host.intercept = undefined;
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined(), { timeout: 5_000 });
  });

  it('is told with its name inside, whatever name it has on the host (T16)', async () => {
    const { virtual, host } = await run();
    host.intercept = ({ verb, type }) => {
      if (verb !== 'create' || type !== PODS) return;
      throw new KubeError({
        status: 422,
        reason: 'Invalid',
        message: 'Pod "vc-reserved-c0ffee" is invalid',
        details: { kind: 'Pod', name: 'vc-reserved-c0ffee' },
      });
    };
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1));
    expect(syncer.eventsOn('web')).toMatchObject([{ reason: 'SyncFailed', message: 'Pod "web" is invalid' }]);
  });

  it('is told without the syncer’s name and rights on the host (T16)', async () => {
    const { virtual, host } = await run();
    host.intercept = ({ verb, type }) => {
      if (verb !== 'create' || type !== PODS) return;
      const message =
        'pods is forbidden: User "system:serviceaccount:host-ns:vc" cannot create resource "pods" in API group ""';
      throw new KubeError({ status: 403, reason: 'Forbidden', message });
    };
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1));
    expect(syncer.eventsOn('web')[0]?.message).toBe('the host does not let the syncer do what it takes');
  });

  it('by an internal error that stays is told once, without the words of the host (F16, T16)', async () => {
    const { virtual, host } = await run();
    let tries = 0;
    host.intercept = ({ verb, type }) => {
      if (verb !== 'create' || type !== PODS) return;
      tries += 1;
      throw new KubeError({ status: 500, reason: 'Http500', message: 'failed calling webhook 10.0.0.7:443' });
    };
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1), { timeout: 10_000 });
    expect(tries).toBeGreaterThan(4);
    expect(syncer.eventsOn('web')).toMatchObject([
      {
        reason: 'SyncFailed',
        message: 'an internal error comes again and again, of the host or of a webhook of this cluster',
      },
    ]);
  });

  it('because it is too large is told at once, and not tried again (T15)', async () => {
    const { virtual, host } = await run();
    let tries = 0;
    host.intercept = ({ verb, type }) => {
      if (verb !== 'create' || type !== PODS) return;
      tries += 1;
      throw new KubeError({ status: 500, reason: 'Http500', message: 'etcdserver: request is too large' });
    };
    virtual.put(PODS, podNamed('default/web'));
    const env = Array.from({ length: 17 }, (_, index) => ({ name: `X${index}`, value: 'x'.repeat(100_000) }));
    const [container] = podNamed('default/huge').spec?.containers ?? [];
    virtual.put(PODS, podNamed('default/huge', { containers: [{ name: 'app', ...container, env }] }));
    await vi.waitFor(() => expect([...syncer.eventsOn('web'), ...syncer.eventsOn('huge')]).toHaveLength(2));
    await syncer.quiet();
    // Of the one that is clearly too large the host is not even asked.
    expect(tries).toBe(1);
    for (const event of [...syncer.eventsOn('web'), ...syncer.eventsOn('huge')]) {
      expect(event).toMatchObject({
        reason: 'SyncRefused',
        message: 'it is larger than what the host stores (TooLarge)',
      });
    }
  });

  it('says once why a pod may not reach the host, and makes no request for it', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', { hostNetwork: true }));
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1));
    expect(syncer.eventsOn('web')[0]).toMatchObject({ reason: 'SyncRefused' });
    expect(syncer.eventsOn('web')[0]?.message).toMatch(/^spec\.hostNetwork: .*ForbiddenByProfile/);
    virtual.change<Pod>(PODS, 'default/web', ({ metadata }) => {
      metadata.annotations = { changed: 'yes' };
    });
    await syncer.quiet();
    expect(syncer.eventsOn('web')).toHaveLength(1);
    expect(host.writes()).toEqual([]);
  });
});
