// Why a PersistentVolumeClaim is not bound.
import {
  type ClusterObjects,
  nameOf,
  newestWarning,
  type PersistentVolumeClaim,
  type Problem,
} from './objects.ts';

const IS_DEFAULT = 'storageclass.kubernetes.io/is-default-class';

/** Nothing when the claim is bound, or only waits for its first pod or its volume. */
export function claimProblem(
  claim: PersistentVolumeClaim,
  { storageClasses, events }: Pick<ClusterObjects, 'storageClasses' | 'events'>,
): Problem | undefined {
  if (claim.status?.phase === 'Bound' || claim.spec?.volumeName) return undefined;
  const pending = `PersistentVolumeClaim \`${nameOf(claim)}\` is Pending`;
  const wanted = claim.spec?.storageClassName;
  const known = storageClasses.map((storageClass) => `\`${nameOf(storageClass)}\``);
  const knownText = known.length > 0 ? `Known classes: ${known.sort().join(', ')}` : 'There are no classes';

  if (wanted && !storageClasses.some(({ metadata }) => metadata.name === wanted)) {
    return {
      reason: 'NoStorageClass',
      message: `${pending}: no storage class \`${wanted}\`. ${knownText}`,
      final: true,
    };
  }
  const hasDefault = storageClasses.some(({ metadata }) => metadata.annotations?.[IS_DEFAULT] === 'true');
  if (wanted === undefined && !hasDefault) {
    return {
      reason: 'NoStorageClass',
      message: `${pending}: no default storage class. ${knownText}`,
      final: true,
    };
  }
  const warning = newestWarning(events, claim);
  if (!warning) return undefined;
  const final = warning.reason === 'SyncRefused';
  return { reason: warning.reason ?? 'ClaimPending', message: `${pending}: ${warning.message}`, final };
}
