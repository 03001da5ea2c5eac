// PersistentVolumes inside: those that the host gave to claims of this cluster, without a word on where their data are. Volumes
// that are made by hand inside are nobody's business: they never reach the host, and no claim is bound to them.
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../../kube/resource.ts';
import { createStore } from '../../../kube/store.ts';
import { defined, dictionary, fields, list, scalar } from '../../allow-list.ts';
import type { UpwardKind, UpwardView } from '../../engine/upward.ts';
import type { TranslationContext } from '../../kind.ts';
import { ANNOTATION_FROM_HOST, ANNOTATION_UID, virtualKeyOf } from '../../names.ts';
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec } from '../../objects.ts';
import { copyOf, INDEX } from '../../stores.ts';
import { isShownNodeLabel } from '../nodes/labels.ts';

type NodeAffinity = NonNullable<PersistentVolumeSpec['nodeAffinity']>;
type NodeTerm = NonNullable<NodeAffinity['required']>['nodeSelectorTerms'][number];
type ClaimReference = NonNullable<PersistentVolumeSpec['claimRef']>;

/** The API wants each volume to have a source. This one says that the host has it. */
const DRIVER = 'host.mayfly.dev';
const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';

const plainSpec = fields<PersistentVolumeSpec>({
  accessModes: list(scalar),
  capacity: dictionary,
  persistentVolumeReclaimPolicy: scalar,
  storageClassName: scalar,
  volumeMode: scalar,
});
const claimReference = fields<ClaimReference>({
  apiVersion: scalar,
  kind: scalar,
  namespace: scalar,
  name: scalar,
  uid: scalar,
});
const term = fields<NodeTerm>({
  matchExpressions: list(
    fields<NonNullable<NodeTerm['matchExpressions']>[number]>({
      key: scalar,
      operator: scalar,
      values: list(scalar),
    }),
  ),
});

export const persistentVolumes: UpwardKind<PersistentVolume> = {
  type: PERSISTENT_VOLUMES,
  createStore: (side) => createStore<PersistentVolume>(side === 'host' ? { transform: onlyWhatIsRead } : {}),
  lingerMs: 0,
  observes: [
    { side: 'host', type: PERSISTENT_VOLUMES, keys: ({ metadata }) => [metadata.name ?? ''] },
    { side: 'virtual', type: PERSISTENT_VOLUMES, keys: ({ metadata }) => [metadata.name ?? ''] },
    {
      side: 'host',
      type: PERSISTENT_VOLUME_CLAIMS,
      keys: (claim) => volumeOf(claim as PersistentVolumeClaim),
    },
    {
      side: 'virtual',
      type: PERSISTENT_VOLUME_CLAIMS,
      keys: (claim) => volumeOf(claim as PersistentVolumeClaim),
    },
  ],
  source(name, view) {
    const { virtual, host } = copyOf<PersistentVolume>(view.pairs, PERSISTENT_VOLUMES);
    const onHost = host.get(name);
    const claims = boundClaims(name, view);
    if (claims && !view.readsHostWide) return derivedFrom(name, claims);
    if (claims && onHost && onHost.spec?.claimRef?.uid === claims.host.metadata.uid) {
      return withClaim(onHost, referenceTo(claims.virtual), 'Bound');
    }
    return released(virtual.get(name), onHost, view.context);
  },
  toVirtual,
};

function volumeOf({ spec }: PersistentVolumeClaim): string[] {
  return spec?.volumeName ? [spec.volumeName] : [];
}

/** The claim that the host has bound to the volume, on both sides; undefined while there is none of this cluster. */
function boundClaims(name: string, { pairs }: UpwardView) {
  const claims = copyOf<PersistentVolumeClaim>(pairs, PERSISTENT_VOLUME_CLAIMS);
  const host = claims.host.byIndex(INDEX.byVolume, name).find(({ status }) => status?.phase === 'Bound');
  const key = host && virtualKeyOf(host.metadata);
  const virtual = key === undefined ? undefined : claims.virtual.get(key);
  const isOurs = virtual && virtual.metadata.uid === host?.metadata.annotations?.[ANNOTATION_UID];
  return host && virtual && isOurs ? { host, virtual } : undefined;
}

/**
 * A volume whose claim is gone: seen for as long as the host has it, which is for good where it is retained. One that is gone from
 * the host is released first, for a bound volume is protected from its end.
 */
function released(
  shown: PersistentVolume | undefined,
  onHost: PersistentVolume | undefined,
  context: TranslationContext,
): PersistentVolume | undefined {
  if (shown?.metadata.annotations?.[ANNOTATION_FROM_HOST] !== 'true') return undefined;
  const claim = shown.spec?.claimRef;
  if (onHost && claim && wasClaimedBy(onHost, claim, context)) return withClaim(onHost, claim, 'Released');
  return shown.status?.phase === 'Bound' ? withClaim(shown, claim, 'Released') : undefined;
}

/** The name on the host holds a hash over this cluster, so that nobody else's claim has it. */
function wasClaimedBy(
  { spec }: PersistentVolume,
  claim: ClaimReference,
  context: TranslationContext,
): boolean {
  const { namespace, name = '' } = claim;
  const { namespace: hostNamespace, name: hostName } = spec?.claimRef ?? {};
  return (
    hostNamespace === context.hostNamespace &&
    hostName === context.hostName(PERSISTENT_VOLUME_CLAIMS, { namespace, name })
  );
}

function withClaim(
  volume: PersistentVolume,
  claimRef: ClaimReference | undefined,
  phase: string,
): PersistentVolume {
  return { ...volume, spec: { ...volume.spec, claimRef }, status: { phase } };
}

function referenceTo({ metadata: { namespace, name, uid } }: PersistentVolumeClaim): ClaimReference {
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid };
}

/** What a claim tells of its volume where the host's volumes may not be read. */
function derivedFrom(
  name: string,
  { host, virtual }: { host: PersistentVolumeClaim; virtual: PersistentVolumeClaim },
): PersistentVolume {
  return {
    metadata: { name },
    spec: {
      accessModes: host.status?.accessModes,
      capacity: host.status?.capacity,
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: host.spec?.storageClassName,
      volumeMode: host.spec?.volumeMode,
      claimRef: referenceTo(virtual),
    },
    status: { phase: 'Bound' },
  };
}

function toVirtual(
  { metadata, spec, status }: PersistentVolume,
  virtual: PersistentVolume | undefined,
): PersistentVolume {
  const name = metadata.name ?? '';
  const provisioner = metadata.annotations?.[PROVISIONED_BY];
  return {
    ...virtual,
    metadata: {
      ...virtual?.metadata,
      name,
      annotations: {
        ...virtual?.metadata.annotations,
        ...(provisioner ? { [PROVISIONED_BY]: provisioner } : {}),
      },
    },
    spec: defined<PersistentVolumeSpec>({
      ...plainSpec(spec ?? {}),
      claimRef: spec?.claimRef && claimReference(spec.claimRef),
      // These two never change, whatever more is known since.
      csi: virtual?.spec?.csi ?? { driver: spec?.csi?.driver ?? DRIVER, volumeHandle: name },
      nodeAffinity: virtual?.spec?.nodeAffinity ?? shownAffinity(spec?.nodeAffinity),
    }),
    status: { ...virtual?.status, phase: status?.phase },
  };
}

/** Where the volume can be used, if nodes show inside what that is about. */
function shownAffinity(affinity: NodeAffinity | undefined): NodeAffinity | undefined {
  const terms = affinity?.required?.nodeSelectorTerms ?? [];
  const isShown = terms.every(
    ({ matchExpressions = [], matchFields = [] }) =>
      matchFields.length === 0 && matchExpressions.every(({ key }) => isShownNodeLabel(key)),
  );
  return terms.length > 0 && isShown
    ? { required: { nodeSelectorTerms: list(term)(terms) ?? [] } }
    : undefined;
}

/** Most volumes of a host are others', and none has a place here with its source and the secrets that it names. */
function onlyWhatIsRead({ metadata, spec }: PersistentVolume): PersistentVolume {
  const { name, uid, resourceVersion, annotations } = metadata;
  const provisioner = annotations?.[PROVISIONED_BY];
  return {
    metadata: {
      name,
      uid,
      resourceVersion,
      annotations: provisioner ? { [PROVISIONED_BY]: provisioner } : {},
    },
    spec: defined<PersistentVolumeSpec>({
      ...plainSpec(spec ?? {}),
      claimRef: spec?.claimRef && claimReference(spec.claimRef),
      csi: spec?.csi && { driver: spec.csi.driver, volumeHandle: '' },
      nodeAffinity: spec?.nodeAffinity,
    }),
  };
}
