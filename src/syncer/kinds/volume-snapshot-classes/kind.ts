// The host's VolumeSnapshotClasses inside, without their parameters: those are between the administrator and his driver.
import { VOLUME_SNAPSHOT_CLASSES } from '../../../kube/resource.ts';
import { fields, scalar } from '../../allow-list.ts';
import type { VolumeSnapshotClass } from '../../objects.ts';
import { hostClass } from '../host-class.ts';

export const volumeSnapshotClasses = hostClass<VolumeSnapshotClass>({
  type: VOLUME_SNAPSHOT_CLASSES,
  isOptional: true,
  annotations: ['snapshot.storage.kubernetes.io/is-default-class'],
  copy: fields<VolumeSnapshotClass>({ driver: scalar, deletionPolicy: scalar }),
});
