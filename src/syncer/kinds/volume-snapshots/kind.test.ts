import { afterEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../../test/support/memory-api-server.ts';
import {
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { PERSISTENT_VOLUME_CLAIMS, PODS, VOLUME_SNAPSHOTS } from '../../../kube/resource.ts';
import type { VolumeSnapshot } from '../../objects.ts';
import { volumeSnapshots } from './kind.ts';

const snapshot = (source: VolumeSnapshot['spec']['source']): VolumeSnapshot => ({
  metadata: { namespace: 'default', name: 'before', uid: 'uid-of-before' },
  spec: { source },
});
const ofClaim = snapshot({ persistentVolumeClaimName: 'data' });
const context = translationContext();
const hostClaim = context.hostName(PERSISTENT_VOLUME_CLAIMS, { namespace: 'default', name: 'data' });

describe('a VolumeSnapshot', () => {
  it('is taken of the host’s copy of its claim', () => {
    expect(volumeSnapshots.toHost(ofClaim, context)?.spec).toEqual({
      source: { persistentVolumeClaimName: hostClaim },
    });
  });

  it('may not name a content, which may be somebody else’s (T2)', () => {
    expect(() => volumeSnapshots.toHost(snapshot({ volumeSnapshotContentName: 'x' }), context)).toThrow(
      'spec.source.volumeSnapshotContentName: ',
    );
  });

  it('says inside that it is ready, with the names inside and none of its content', () => {
    const host: VolumeSnapshot = {
      metadata: { namespace: 'host-ns', name: 'before-default-vc-x' },
      spec: { source: { persistentVolumeClaimName: hostClaim }, volumeSnapshotClassName: 'fast' },
      status: {
        boundVolumeSnapshotContentName: 'snapcontent-uid-on-host',
        readyToUse: false,
        restoreSize: '1Gi',
        error: { message: `cannot snapshot ${hostClaim} in host-ns`, time: '2026-01-01T00:00:00Z' },
      },
    };
    expect(volumeSnapshots.toVirtual?.(host, ofClaim, context)).toEqual({
      ...ofClaim,
      spec: { ...ofClaim.spec, volumeSnapshotClassName: 'fast' },
      status: {
        boundVolumeSnapshotContentName: 'snapcontent-uid-of-before',
        readyToUse: false,
        restoreSize: '1Gi',
        error: { message: 'cannot snapshot data in default', time: '2026-01-01T00:00:00Z' },
      },
    });
  });
});

describe('the life of a VolumeSnapshot', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const onHost = () =>
    syncer.host.get<VolumeSnapshot>(VOLUME_SNAPSHOTS, hostKey('volumesnapshots', 'default/before'));

  it('begins on the host when its claim is there, and ends with it', async () => {
    syncer = await startSyncer();
    syncer.virtual.put(VOLUME_SNAPSHOTS, ofClaim);
    syncer.virtual.put(PERSISTENT_VOLUME_CLAIMS, { metadata: { namespace: 'default', name: 'data' } });
    await vi.waitFor(() => expect(onHost()).toBeDefined());
    syncer.virtual.remove(VOLUME_SNAPSHOTS, 'default/before');
    await vi.waitFor(() => expect(onHost()).toBeUndefined());
  });

  it('waits for a host that has the kind, and comes there when it does, while other kinds are synced (F27)', async () => {
    const clock = createManualClock();
    const host = createMemoryApiServer();
    host.withdraw(VOLUME_SNAPSHOTS);
    syncer = await startSyncer({ clock, host });
    syncer.virtual.put(VOLUME_SNAPSHOTS, ofClaim);
    syncer.virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.quiet();
    expect(host.writes().filter(({ type }) => type === VOLUME_SNAPSHOTS)).toEqual([]);
    host.serve(VOLUME_SNAPSHOTS);
    await clock.advance(60_000);
    await vi.waitFor(() => expect(onHost()).toBeDefined());
    host.withdraw(VOLUME_SNAPSHOTS);
    await syncer.quiet();
    syncer.virtual.put(PODS, podNamed('default/later'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/later')).toBeDefined());
    expect(syncer.virtual.get(VOLUME_SNAPSHOTS, 'default/before')).toBeDefined();
  });
});
