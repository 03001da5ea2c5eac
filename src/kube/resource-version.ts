// The order of an object's versions.
import type { KubeObject } from './resource.ts';

/** A version of an object that exists; "0" is only ever asked for. */
const COMPARABLE = /^[1-9]\d*$/;

/**
 * Whether `one` is a later version of the same object than `other`. Versions are decimal numbers of any length that grow
 * (Kubernetes API concepts, "Resource versions", and KEP-5504); where they are not, nothing is known and neither is newer.
 */
export function isNewer(one: KubeObject, other: KubeObject): boolean {
  const { uid, resourceVersion = '' } = one.metadata;
  const { uid: otherUid, resourceVersion: otherVersion = '' } = other.metadata;
  if (uid !== otherUid || !COMPARABLE.test(resourceVersion) || !COMPARABLE.test(otherVersion)) return false;
  if (resourceVersion.length !== otherVersion.length) return resourceVersion.length > otherVersion.length;
  return resourceVersion > otherVersion;
}
