// What flows back to a claim: that it is bound, to which volume and how large it is.
import { PERSISTENT_VOLUMES } from '../../../kube/resource.ts';
import { defined, dictionary, fields, list, scalar } from '../../allow-list.ts';
import { createTeller } from '../../host-text.ts';
import type { TranslationContext } from '../../kind.ts';
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus } from '../../objects.ts';
import { dataSources } from './data-source.ts';

/** Of those that the host's controllers set: what tells kubectl and controllers inside that the claim is bound. */
const ANNOTATIONS = [
  'pv.kubernetes.io/bind-completed',
  'pv.kubernetes.io/bound-by-controller',
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];

type Condition = NonNullable<PersistentVolumeClaimStatus['conditions']>[number];

const condition = fields<Condition>({
  type: scalar,
  status: scalar,
  reason: scalar,
  message: scalar,
  lastProbeTime: scalar,
  lastTransitionTime: scalar,
});
const status = fields<PersistentVolumeClaimStatus>({
  phase: scalar,
  accessModes: list(scalar),
  capacity: dictionary,
  conditions: list(condition),
  allocatedResources: dictionary,
  allocatedResourceStatuses: dictionary,
});

export function withHostVolume(
  host: PersistentVolumeClaim,
  virtual: PersistentVolumeClaim,
  context: TranslationContext,
): PersistentVolumeClaim {
  const isBound = host.status?.phase === 'Bound';
  // Whoever sees a bound claim looks for its volume next.
  if (isBound && !isVolumeShown(host, virtual, context)) return virtual;
  const told = Object.entries(host.metadata.annotations ?? {}).filter(([key]) => ANNOTATIONS.includes(key));
  return {
    ...virtual,
    metadata: defined({
      ...virtual.metadata,
      annotations:
        told.length > 0
          ? { ...virtual.metadata.annotations, ...Object.fromEntries(told) }
          : virtual.metadata.annotations,
    }),
    spec: defined({
      ...virtual.spec,
      // The host's default class, where there is none inside.
      storageClassName: virtual.spec?.storageClassName ?? host.spec?.storageClassName,
      volumeName: virtual.spec?.volumeName ?? (isBound ? host.spec?.volumeName : undefined),
    }),
    status: host.status?.phase ? statusInside(host, virtual, context) : virtual.status,
  };
}

function isVolumeShown(
  host: PersistentVolumeClaim,
  virtual: PersistentVolumeClaim,
  context: TranslationContext,
): boolean {
  const name = host.spec?.volumeName ?? '';
  const shown = context.find<PersistentVolume>({ type: PERSISTENT_VOLUMES, name });
  return shown?.status?.phase === 'Bound' && shown.spec?.claimRef?.uid === virtual.metadata.uid;
}

function statusInside(
  host: PersistentVolumeClaim,
  virtual: PersistentVolumeClaim,
  context: TranslationContext,
): PersistentVolumeClaimStatus {
  const tell = createTeller(host, virtual, () => dataSources(virtual), context);
  const copied = status(host.status ?? {});
  const conditions = copied.conditions?.map(({ message, ...item }) =>
    defined({ ...item, message: message && tell(message) }),
  );
  return defined({ ...copied, conditions });
}
