// What a claim is to be filled from: another claim or a snapshot of its own namespace, by the names that they have on the host.
import { PERSISTENT_VOLUME_CLAIMS, type ResourceType, VOLUME_SNAPSHOTS } from '../../../kube/resource.ts';
import { type Reference, RefusedError, type TranslationContext } from '../../kind.ts';
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '../../objects.ts';

/** The API server fills in the second from the first. */
const FIELDS = ['dataSourceRef', 'dataSource'] as const;
const TYPES = [PERSISTENT_VOLUME_CLAIMS, VOLUME_SNAPSHOTS];

type Source = NonNullable<PersistentVolumeClaimSpec['dataSourceRef']>;

function typeOf({ apiGroup, kind }: Source): ResourceType | undefined {
  return TYPES.find((type) => type.kind === kind && type.group === (apiGroup ?? ''));
}

/** @throws RefusedError for sources of other kinds, whose controllers on the host would act in the name of the host. */
export function hostDataSources(
  { metadata: { namespace }, spec }: PersistentVolumeClaim,
  context: TranslationContext,
): Pick<PersistentVolumeClaimSpec, (typeof FIELDS)[number]> {
  return Object.fromEntries(
    FIELDS.flatMap((field) => {
      const source: Source | undefined = spec?.[field];
      if (!source) return [];
      const type = typeOf(source);
      if (!type) {
        throw new RefusedError(
          'UnsupportedSource',
          `spec.${field}: is neither a claim nor a volume snapshot`,
        );
      }
      if (source.namespace && source.namespace !== namespace) {
        throw new RefusedError('UnsupportedSource', `spec.${field}.namespace: is not the claim's own`);
      }
      const name = context.hostName(type, { namespace, name: source.name });
      return [[field, { ...(type.group ? { apiGroup: type.group } : {}), kind: type.kind, name }]];
    }),
  );
}

export function dataSources({ metadata: { namespace }, spec }: PersistentVolumeClaim): Reference[] {
  const source: Source | undefined = spec?.dataSourceRef ?? spec?.dataSource;
  const type = source && typeOf(source);
  return type ? [{ type, namespace, name: source.name }] : [];
}
