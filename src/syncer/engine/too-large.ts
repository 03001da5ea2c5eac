// Objects that the store inside takes and that of the host does not. They are not even asked for: a try counts in the host's quota,
// which learns only minutes later that nothing was made.
import { KubeError } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/resource.ts';
import { RefusedError } from '../kind.ts';

/** What etcd takes by default. */
const STORED_BYTES = 1.5 * 1024 * 1024;
/** In the words of etcd and of its client. */
const TOO_LARGE = /request is too large|message larger than max/;

/** @throws RefusedError for an object whose texts alone are more than the host stores. */
export function requireStorable(object: KubeObject): void {
  if (textBytes(object) > STORED_BYTES) throw tooLarge();
}

/** The refusal that an answer of the host stands for, or the error as it is. */
export function refusedIfTooLarge(error: unknown): unknown {
  const isTooLarge = error instanceof KubeError && (error.status === 413 || TOO_LARGE.test(error.message));
  return isTooLarge ? tooLarge() : error;
}

function tooLarge(): RefusedError {
  return new RefusedError('TooLarge', 'it is larger than what the host stores');
}

function textBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce<number>((sum, item) => sum + textBytes(item), 0);
}
