import { afterEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../../test/support/memory-api-server.ts';
import {
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../../test/support/syncer-harness.ts';
import { PODS, VOLUME_SNAPSHOT_CLASSES } from '../../../kube/resource.ts';
import type { VolumeSnapshotClass } from '../../objects.ts';
import { volumeSnapshotClasses } from './kind.ts';

const host = {
  metadata: { name: 'fast', annotations: { 'snapshot.storage.kubernetes.io/is-default-class': 'true' } },
  driver: 'csi.example.com',
  deletionPolicy: 'Delete',
  parameters: { 'csi.storage.k8s.io/snapshotter-secret-name': 'admin' },
};

describe('a VolumeSnapshotClass inside', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const shown = () => syncer.virtual.get<VolumeSnapshotClass>(VOLUME_SNAPSHOT_CLASSES, 'fast');

  it('says its driver, what becomes of the data and whether it is the default, and no parameters (T16)', () => {
    expect(volumeSnapshotClasses.toVirtual(host, undefined)).toEqual({
      metadata: { name: 'fast', annotations: { 'snapshot.storage.kubernetes.io/is-default-class': 'true' } },
      driver: 'csi.example.com',
      deletionPolicy: 'Delete',
    });
  });

  it('is shown once both sides have the kind, while all other kinds are synced (F27)', async () => {
    const clock = createManualClock();
    const [virtual, hostApi] = [createMemoryApiServer(), createMemoryApiServer()];
    virtual.withdraw(VOLUME_SNAPSHOT_CLASSES);
    hostApi.withdraw(VOLUME_SNAPSHOT_CLASSES);
    syncer = await startSyncer({ clock, virtual, host: hostApi });
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(hostApi, 'default/web')).toBeDefined());
    hostApi.serve(VOLUME_SNAPSHOT_CLASSES);
    hostApi.put(VOLUME_SNAPSHOT_CLASSES, host);
    await clock.advance(60_000);
    await syncer.quiet();
    expect(virtual.writes().filter(({ type }) => type === VOLUME_SNAPSHOT_CLASSES)).toEqual([]);
    virtual.serve(VOLUME_SNAPSHOT_CLASSES);
    await clock.advance(60_000);
    await vi.waitFor(() => expect(shown()).toBeDefined());
  });

  it('is not missed when the kind is taken away on either side, and comes again with it (F27)', async () => {
    const clock = createManualClock();
    syncer = await startSyncer({ clock });
    syncer.host.put(VOLUME_SNAPSHOT_CLASSES, host);
    await vi.waitFor(() => expect(shown()).toBeDefined());
    syncer.virtual.withdraw(VOLUME_SNAPSHOT_CLASSES);
    await syncer.quiet();
    syncer.virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    syncer.virtual.serve(VOLUME_SNAPSHOT_CLASSES);
    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(shown()).toBeDefined();
    });
    syncer.host.withdraw(VOLUME_SNAPSHOT_CLASSES);
    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(shown()).toBeUndefined();
    });
  });
});
