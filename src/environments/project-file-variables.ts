// `${{ name }}` in `.mayfly.yaml` and in manifests: a fixed set of names, no expressions, so that nothing is evaluated.
import { InvalidInputError } from '../lib/errors.ts';
import { suggestion } from './project-file-suggestion.ts';

/** Every value is safe inside YAML and shell words: hex digits, DNS names, decimal digits. */
export interface ProjectVariables {
  /** The commit that is deployed, 40 hex digits. */
  commit: string;
  /** Host name of the main preview. */
  host: string;
  /** Number of the pull request. */
  number: string;
  /** Name of the environment. */
  environment: string;
}

const NAMES: readonly (keyof ProjectVariables)[] = ['commit', 'host', 'number', 'environment'];
const PLACEHOLDER = /\$\{\{(.*?)\}\}/gs;

/** What is wrong with the first unknown placeholder of `text`; undefined when all are known. */
export function placeholderProblem(text: string): string | undefined {
  for (const [, inner = ''] of text.matchAll(PLACEHOLDER)) {
    const name = inner.trim();
    if (!isName(name)) return `unknown variable "${name}"${suggestion(name, NAMES)}`;
  }
  return undefined;
}

/** @throws InvalidInputError with code `UnknownVariable`. */
export function interpolate(text: string, variables: ProjectVariables): string {
  const problem = placeholderProblem(text);
  if (problem !== undefined) throw new InvalidInputError({ code: 'UnknownVariable', message: problem });
  return text.replace(PLACEHOLDER, (placeholder, inner: string) => {
    const name = inner.trim();
    return isName(name) ? variables[name] : placeholder;
  });
}

/** Like interpolate, for every string inside a JSON value; keys stay as they are. */
export function interpolateValue(value: JsonValue, variables: ProjectVariables): JsonValue {
  if (typeof value === 'string') return interpolate(value, variables);
  if (Array.isArray(value)) return value.map((item) => interpolateValue(item, variables));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, interpolateValue(item, variables)]),
  );
}

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

function isName(name: string): name is keyof ProjectVariables {
  return NAMES.some((known) => known === name);
}
