// Takes credentials out of what is about to be logged, by the names of the fields that hold them, however deep they are.

const SECRET_FIELD = /(authorization|cookie|token|password|secret|private-?key|kubeconfig)$/i;
const CENSOR = '[redacted]';

/** Deeper than this nothing is logged at all, so nothing can hide there. */
const MAX_DEPTH = 8;

/**
 * A copy of `value` without credentials. Errors stay as they are, for the serializer that turns them into plain objects;
 * apply this to its result.
 */
export function redacted(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (Array.isArray(value)) return value.map((item) => redacted(item, depth + 1));
  if ('toJSON' in value && typeof value.toJSON === 'function') return redacted(value.toJSON(), depth + 1);
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      SECRET_FIELD.test(name) && field !== undefined ? CENSOR : redacted(field, depth + 1),
    ]),
  );
}
