// Annotations that an operator lets through to the host under their own keys. Which ones we put there is remembered in one of
// ours, so that one which is gone inside goes on the host too, and what others wrote stays.
import type { ObjectMeta } from '../kube/resource.ts';
import { mergeMetadata } from './kind.ts';
import { ANNOTATION_PASSED } from './names.ts';

const SEPARATOR = ',';

export function passedAnnotations(
  { annotations = {} }: ObjectMeta,
  allowed: readonly string[],
): Record<string, string> {
  const passed = Object.entries(annotations).filter(([key]) => allowed.includes(key));
  if (passed.length === 0) return {};
  const keys = passed.map(([key]) => key).sort();
  return { ...Object.fromEntries(passed), [ANNOTATION_PASSED]: keys.join(SEPARATOR) };
}

/** Like `mergeMetadata`, without what was passed before and is not any more. */
export function mergePassed(host: ObjectMeta, desired: ObjectMeta): ObjectMeta {
  const before = host.annotations?.[ANNOTATION_PASSED]?.split(SEPARATOR) ?? [];
  const kept = Object.entries(host.annotations ?? {}).filter(([key]) => !before.includes(key));
  return mergeMetadata({ ...host, annotations: Object.fromEntries(kept) }, desired);
}
