import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type HarnessOptions,
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { errorOfStatus } from '../../kube/errors.ts';
import { PODS } from '../../kube/resource.ts';
import type { Pod } from '../objects.ts';

let syncer: SyncerHarness;
const run = async (options?: HarnessOptions) => {
  syncer = await startSyncer(options);
  return syncer;
};

afterEach(() => syncer?.stop());

describe('a host namespace that is being deleted (F15)', () => {
  it('is asked once for each object and never again, and that is told', async () => {
    const { virtual, host } = await run();
    host.intercept = ({ verb, type, namespace }) => {
      if (verb !== 'create') return;
      const message = `${type.plural} "x" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`;
      const details = { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] };
      throw errorOfStatus({ kind: 'Status', reason: 'Forbidden', message, details }, 403);
    };
    const names = ['one', 'two', 'three'];
    for (const name of names) virtual.put(PODS, podNamed(`default/${name}`));
    for (const name of names) await vi.waitFor(() => expect(syncer.eventsOn(name)).toHaveLength(1));
    await syncer.quiet();
    expect(host.writes()).toHaveLength(names.length);
    for (const name of names) {
      const [told, ...others] = syncer.eventsOn(name);
      expect(told).toMatchObject({ type: 'Warning', reason: 'SyncFailed' });
      expect(told?.message).toContain('this virtual cluster is being deleted');
      expect(told?.message).not.toContain('host-ns');
      expect(others).toEqual([]);
    }
  });
});

describe('a host object that somebody’s finalizer holds (F14)', () => {
  const HELD_MS = 10_000;

  /** A pod inside whose host copy is that of a pod before it, which does not go. */
  async function behindHeld(deletedMs: number) {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    host.change<Pod>(PODS, hostKey('pods', 'default/web'), ({ metadata }) => {
      metadata.deletionTimestamp = new Date(deletedMs).toISOString();
      metadata.finalizers = ['example.com/nobody'];
    });
    await vi.waitFor(() => expect(virtual.get(PODS, 'default/web')).toBeUndefined());
    return virtual.put(PODS, podNamed('default/web'));
  }

  it('is told inside once it should long be gone, and once only', async () => {
    await behindHeld(Date.now() - HELD_MS + 1_000);
    await syncer.quiet();
    expect(syncer.eventsOn('web')).toEqual([]);
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1), { timeout: 5_000 });
    const [told] = syncer.eventsOn('web');
    expect(told).toMatchObject({ type: 'Warning', reason: 'DeletionHeld' });
    expect(told?.message).toMatch(/finalizer: example\.com\/nobody$/);
    syncer.virtual.change<Pod>(PODS, 'default/web', ({ metadata }) => {
      metadata.annotations = { changed: 'yes' };
    });
    await syncer.quiet();
    expect(syncer.eventsOn('web')).toHaveLength(1);
    expect(podOnHost(syncer.host, 'default/web')?.metadata.finalizers).toEqual(['example.com/nobody']);
  });

  it('makes room for the next one when it goes', async () => {
    const { metadata } = await behindHeld(Date.now());
    await syncer.quiet();
    syncer.host.remove(PODS, hostKey('pods', 'default/web'));
    await vi.waitFor(() =>
      expect(podOnHost(syncer.host, 'default/web')?.metadata.annotations).toMatchObject({
        'mayfly.dev/virtual-uid': metadata.uid,
      }),
    );
  });
});
