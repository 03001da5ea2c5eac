// Whether a claim inside and its copy may go on together: the volume is the host's to give, once, and what was lost is not
// replaced by an empty one.
import { RefusedError, type Step } from '../../kind.ts';
import type { PersistentVolumeClaim } from '../../objects.ts';

/** @throws RefusedError; the host copy stays as it is then, and with it the data. */
export function claimStep(
  virtual: PersistentVolumeClaim,
  host: PersistentVolumeClaim | undefined,
): Step<PersistentVolumeClaim> | undefined {
  const chosen = virtual.spec?.volumeName;
  if (!chosen || chosen === host?.spec?.volumeName) return undefined;
  const phase = virtual.status?.phase;
  if (!host && phase === 'Bound') {
    const status = { ...virtual.status, phase: 'Lost' };
    return { do: 'write-virtual', subresource: 'status', object: { ...virtual, status } };
  }
  if (!host && phase === 'Lost') {
    throw new RefusedError(
      'ClaimLost',
      'spec.volumeName: the host has lost the claim, and its data are lost',
    );
  }
  throw new RefusedError('ForbiddenField', 'spec.volumeName: a claim may not choose its volume');
}
