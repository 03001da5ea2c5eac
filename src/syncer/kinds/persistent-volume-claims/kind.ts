// The synced kind PersistentVolumeClaim: the host provisions and binds, inside it is seen. Which volume a claim gets is never the
// tenant's to say.
import { objectKey, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../../kube/resource.ts';
import { defined, dictionary, fields, list, scalar } from '../../allow-list.ts';
import { mergeMetadata, type Notice, RefusedError, type SyncedKind } from '../../kind.ts';
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec } from '../../objects.ts';
import { INDEX } from '../../stores.ts';
import { dataSources, hostDataSources } from './data-source.ts';
import { claimStep } from './life.ts';
import { withHostVolume } from './status.ts';

const plainSpec = fields<PersistentVolumeClaimSpec>({
  accessModes: list(scalar),
  resources: fields<NonNullable<PersistentVolumeClaimSpec['resources']>>({
    requests: dictionary,
    limits: dictionary,
  }),
  storageClassName: scalar,
  volumeMode: scalar,
});

export const persistentVolumeClaims: SyncedKind<PersistentVolumeClaim> = {
  type: PERSISTENT_VOLUME_CLAIMS,
  when: 'always',
  indexers: { host: { [INDEX.byVolume]: ({ spec }) => [spec?.volumeName ?? []].flat() } },
  toHost(virtual, context) {
    const { spec = {} } = virtual;
    if (spec.selector) {
      throw new RefusedError(
        'ForbiddenField',
        'spec.selector: a claim may not choose among the volumes of the host',
      );
    }
    // On the host it would take a volume that an administrator left unbound, on purpose or for a while.
    if (spec.storageClassName === '' && context.profile !== 'none') {
      throw new RefusedError(
        'ForbiddenField',
        'spec.storageClassName: a claim must be of a class; volumes made by hand inside have no storage',
      );
    }
    return { metadata: {}, spec: { ...plainSpec(spec), ...hostDataSources(virtual, context) } };
  },
  // All else of a claim never changes, or is the host's: its volume, its class by default.
  merge: (host, { metadata, spec }) => ({
    ...host,
    metadata: mergeMetadata(host.metadata, metadata),
    spec: defined({ ...host.spec, resources: spec?.resources }),
  }),
  toVirtual: withHostVolume,
  references: dataSources,
  // A claim is bound inside once its volume is shown there.
  observes: [
    { side: 'virtual', type: PERSISTENT_VOLUMES, keys: (volume) => claimsOf(volume as PersistentVolume) },
  ],
  step: claimStep,
  notices: droppedFields,
};

function claimsOf({ spec }: PersistentVolume): string[] {
  const { namespace, name } = spec?.claimRef ?? {};
  return name ? [objectKey({ namespace, name })] : [];
}

function droppedFields({ spec }: PersistentVolumeClaim): Notice[] {
  if (!spec?.volumeAttributesClassName) return [];
  const message = 'spec.volumeAttributesClassName: is not given to claims on the host';
  return [{ reason: 'FieldDropped', message }];
}
