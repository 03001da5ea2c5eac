// The synced kind VolumeSnapshot: taken on the host of the host's copy of a claim. It needs the external snapshotter's
// CustomResourceDefinitions on both sides; inside, whoever wants snapshots installs them.
import { PERSISTENT_VOLUME_CLAIMS, VOLUME_SNAPSHOTS } from '../../../kube/resource.ts';
import { defined, fields, scalar } from '../../allow-list.ts';
import { createTeller } from '../../host-text.ts';
import {
  mergeMetadata,
  type Reference,
  RefusedError,
  type SyncedKind,
  type TranslationContext,
} from '../../kind.ts';
import type { VolumeSnapshot } from '../../objects.ts';

type Status = NonNullable<VolumeSnapshot['status']>;

const plainStatus = fields<Status>({
  creationTime: scalar,
  readyToUse: scalar,
  restoreSize: scalar,
  error: fields<NonNullable<Status['error']>>({ message: scalar, time: scalar }),
});

export const volumeSnapshots: SyncedKind<VolumeSnapshot> = {
  type: VOLUME_SNAPSHOTS,
  isOptional: true,
  when: 'always',
  toHost({ metadata: { namespace }, spec }, context) {
    const { source, volumeSnapshotClassName } = spec;
    if (source.volumeSnapshotContentName !== undefined) {
      throw new RefusedError(
        'ForbiddenField',
        'spec.source.volumeSnapshotContentName: a snapshot may not choose its content on the host',
      );
    }
    const claim = { namespace, name: source.persistentVolumeClaimName ?? '' };
    return {
      metadata: {},
      spec: defined({
        source: { persistentVolumeClaimName: context.hostName(PERSISTENT_VOLUME_CLAIMS, claim) },
        volumeSnapshotClassName,
      }),
    };
  },
  // What it is taken of never changes; its class by default is the host's.
  merge: (host, { metadata }) => ({ ...host, metadata: mergeMetadata(host.metadata, metadata) }),
  toVirtual: (host, virtual, context) => ({
    ...virtual,
    spec: defined({
      ...virtual.spec,
      volumeSnapshotClassName: virtual.spec.volumeSnapshotClassName ?? host.spec.volumeSnapshotClassName,
    }),
    status: host.status && statusInside(host, virtual, host.status, context),
  }),
  references: claimOf,
};

function claimOf({ metadata: { namespace }, spec }: VolumeSnapshot): Reference[] {
  const name = spec.source.persistentVolumeClaimName;
  return name ? [{ type: PERSISTENT_VOLUME_CLAIMS, namespace, name }] : [];
}

function statusInside(
  host: VolumeSnapshot,
  virtual: VolumeSnapshot,
  status: Status,
  context: TranslationContext,
): Status {
  const tell = createTeller(host, virtual, () => claimOf(virtual), context);
  const { error, ...copied } = plainStatus(status);
  return defined({
    ...copied,
    error: error && defined({ ...error, message: error.message && tell(error.message) }),
    // That it has one is what clients wait for. Contents stay on the host; the name is the one a snapshotter would give.
    boundVolumeSnapshotContentName:
      status.boundVolumeSnapshotContentName && `snapcontent-${virtual.metadata.uid}`,
  });
}
