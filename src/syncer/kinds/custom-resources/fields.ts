// Fields of objects whose shape only the operator knows: found and rewritten by paths such as `spec.rules[*].secretName`.
import { RefusedError } from '../../kind.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @param at the path of this value: `spec.rules[1].secretName`. */
export type Rewrite = (value: unknown, at: string) => unknown;

const EVERY_ITEM = '[*]';

/** `spec.rules[*].secretName` as `rules`, `[*]`, `secretName`. */
function tokensOf(path: string): string[] {
  return path.replace(/^spec\.?/, '').match(/\[\*\]|[^.[\]]+/g) ?? [];
}

/**
 * The spec with what is at `path` rewritten; without a change where there is nothing to be rewritten. What is absent itself is
 * handed to `rewrite` as undefined, as long as the object that it would be in is there.
 * @throws RefusedError when a value is no list or no object where the path goes on.
 */
export function rewriteAt(spec: unknown, path: string, rewrite: Rewrite): unknown {
  return walk(spec, tokensOf(path), 'spec', rewrite);
}

/** Whether the path ends with this field, and the path of the object that the field is in. */
export function parentOf(path: string, field: string): string | undefined {
  return path.endsWith(`.${field}`) ? path.slice(0, -field.length - 1) : undefined;
}

function walk(value: unknown, [token, ...rest]: readonly string[], at: string, rewrite: Rewrite): unknown {
  if (token === undefined) return rewrite(value, at);
  if (value === undefined || value === null) return value;
  if (token === EVERY_ITEM) {
    if (!Array.isArray(value)) throw new RefusedError('UnexpectedValue', `${at}: is no list`);
    return value.map((item, index) => walk(item, rest, `${at}[${index}]`, rewrite));
  }
  if (!isFields(value)) throw new RefusedError('UnexpectedValue', `${at}: is no object`);
  const before = value[token];
  const after = walk(before, rest, `${at}.${token}`, rewrite);
  return after === before ? value : { ...value, [token]: after };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value with every text in it, and every number of a field of the name `field`, replaced. */
export function retold(
  value: unknown,
  text: (text: string) => string,
  field: string,
  number: (value: number) => number,
): unknown {
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return value.map((item) => retold(item, text, field, number));
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === field && typeof item === 'number' ? number(item) : retold(item, text, field, number),
    ]),
  );
}

/** Whether `whole` says everything that `part` says. */
export function covers(whole: unknown, part: unknown): boolean {
  if (part === undefined || part === null || whole === part) return true;
  if (Array.isArray(part))
    return (
      Array.isArray(whole) &&
      whole.length === part.length &&
      part.every((item, index) => covers(whole[index], item))
    );
  if (!isFields(part) || !isFields(whole)) return false;
  return Object.entries(part).every(([field, value]) => covers(whole[field], value));
}
