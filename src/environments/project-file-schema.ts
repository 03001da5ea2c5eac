// What may stand in `.mayfly.yaml`, version 1, as zod schemas. A key that is not here is a mistake, and is answered as one.
import * as z from 'zod';
import { parseDurationMs } from '../lib/duration.ts';
import { isExposeName } from './names.ts';
import { suggestion } from './project-file-suggestion.ts';
import { type JsonValue, placeholderProblem } from './project-file-variables.ts';

const MINUTE_MS = 60_000;
const DEFAULT_READY_TIMEOUT_MS = 3 * MINUTE_MS;
const MAX_READY_TIMEOUT_MS = 15 * MINUTE_MS;
const DEPLOY_KINDS = ['manifests', 'helm', 'image'] as const;

/** An object that knows its keys: each unknown one becomes a line of the message, in the order of `issue.keys`. */
function object<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `unknown key "${key}"${suggestion(key, known)}`).join('\n')
        : undefined,
  });
}

function list<Item extends z.ZodType>(item: Item, maxItems: number) {
  return z.array(item).min(1, 'must not be empty').max(maxItems, `may have at most ${maxItems} entries`);
}

const template = z.string().superRefine((text, context) => {
  const problem = placeholderProblem(text);
  if (problem !== undefined) context.addIssue(problem);
});

const duration = z
  .string()
  .regex(/^[1-9]\d{0,5}[smhd]$/, 'must be a duration like 90s, 30m, 24h or 7d')
  .transform((text) => parseDurationMs(text) ?? z.NEVER);

/** Handed to commands and joined to a folder, hence the narrow alphabet: no `..`, no leading `-` or `/`, no URL. */
const repositoryPath = z
  .string()
  .max(512)
  .refine(
    (path) => path.split('/').every((part) => /^[\w@+.][\w@+.-]*$/.test(part) && part !== '..'),
    'must be a path inside the repository, like deploy/chart',
  );

const port = z
  .number()
  .refine(
    (value) => Number.isInteger(value) && value >= 1 && value <= 65_535,
    'must be a port from 1 to 65535',
  );

const kubernetesVersion = z
  .string('must be a quoted string like "1.34"')
  .regex(/^1\.\d{1,3}$/, 'must be like "1.34"');

const imageReference = template.refine(
  (name) => /^[a-z0-9][\w./:@-]*$/.test(name.replace(/\$\{\{.*?\}\}/gs, 'x')),
  'must be an image like registry.example.com/shop/web:tag',
);

const httpPath = z
  .string()
  .max(512)
  .regex(/^\/[^\s#\\]*$/, 'must be a path like /healthz')
  .refine((path) => !path.startsWith('//'), 'must be a path like /healthz');

const helmValues = z.record(z.string(), z.json()).superRefine((values, context) => {
  for (const { path, text } of stringsIn(values, [])) {
    const problem = placeholderProblem(text);
    if (problem !== undefined) context.addIssue({ code: 'custom', path, message: problem });
  }
  for (const { path, message } of expandDottedKeys(values).problems) {
    context.addIssue({ code: 'custom', path, message });
  }
});

const expose = object({
  service: z.string().regex(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a Service'),
  port,
  name: z
    .string()
    .refine(
      isExposeName,
      'must be at most 20 lower-case letters, digits and hyphens, beginning with a letter',
    )
    .default(''),
});

const deploy = object({
  manifests: z
    .preprocess((value) => (typeof value === 'string' ? [value] : value), list(repositoryPath, 50))
    .optional(),
  kustomize: z.never('is not supported yet').optional(),
  helm: object({
    chart: repositoryPath,
    values: helmValues.default({}),
  }).optional(),
  image: object({ name: imageReference, port }).optional(),
}).superRefine((kinds, context) => {
  const given = DEPLOY_KINDS.filter((kind) => kinds[kind] !== undefined);
  // A mistyped kind was reported already.
  if (given.length === 0 && context.issues.length === 0)
    context.addIssue(`needs one of ${DEPLOY_KINDS.join(', ')}`);
  for (const kind of given.slice(1)) {
    context.addIssue({
      code: 'custom',
      path: [kind],
      message: `stands beside "${given[0]}": only one is possible`,
    });
  }
});

/** Of `on`, which says which pull requests get an environment. */
const on = object({
  branches: list(z.string().min(1).max(255), 50).optional(),
  paths: list(z.string().min(1).max(512), 100).optional(),
  drafts: z.boolean().default(true),
});

export const projectFileSchema = object({
  version: z.literal(1, 'must be 1'),
  on: on.prefault({}),
  environment: object({
    ttl: duration.optional(),
    kubernetes: kubernetesVersion.optional(),
    sleepAfter: z.never('is not supported yet').optional(),
  }).prefault({}),
  deploy,
  expose: list(expose, 10).default([]),
  ready: object({
    path: httpPath.optional(),
    timeout: duration
      .refine((ms) => ms <= MAX_READY_TIMEOUT_MS, 'must be at most 15m')
      .default(DEFAULT_READY_TIMEOUT_MS),
  }).prefault({}),
  seed: z.never('is not supported yet').optional(),
}).superRefine(({ deploy: { image }, expose: exposed }, context) => {
  if (image && exposed.length > 0) {
    context.addIssue({
      code: 'custom',
      path: ['expose'],
      message: 'an image is exposed at its own port already',
    });
  }
  const seen = new Set<string>();
  for (const [index, { name }] of exposed.entries()) {
    const message =
      name === '' ? 'needs a name: only one entry may have none' : `another entry has the name "${name}"`;
    if (seen.has(name)) context.addIssue({ code: 'custom', path: ['expose', index], message });
    seen.add(name);
  }
});

interface Problem {
  path: (string | number)[];
  message: string;
}

/**
 * `image.tag: x` as `image: { tag: x }`, as `helm --set` has it. Only the outermost keys are split, so that keys that
 * hold a dot themselves (annotations) can be written one level further in.
 */
export function expandDottedKeys(values: Record<string, JsonValue>): {
  values: Record<string, JsonValue>;
  problems: Problem[];
} {
  const problems: Problem[] = [];
  const expanded: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(values)) {
    const parts = key.split('.');
    const last = parts.pop() ?? '';
    let target: Record<string, JsonValue> | undefined = expanded;
    if ([...parts, last].some((part) => part === '' || part === '__proto__')) {
      problems.push({ path: [key], message: 'is not a name of a value' });
      continue;
    }
    for (const part of parts) {
      if (!Object.hasOwn(target, part)) target[part] = {};
      const next: JsonValue | undefined = target[part];
      target = typeof next === 'object' && next !== null && !Array.isArray(next) ? next : undefined;
      if (!target) break;
    }
    if (!target || Object.hasOwn(target, last)) {
      problems.push({ path: [key], message: 'is set by another key already' });
    } else {
      target[last] = typeof value === 'object' ? structuredClone(value) : value;
    }
  }
  return { values: expanded, problems };
}

function* stringsIn(
  value: JsonValue,
  path: (string | number)[],
): Generator<{ path: (string | number)[]; text: string }> {
  if (typeof value === 'string') yield { path, text: value };
  if (typeof value !== 'object' || value === null) return;
  const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [key, item] of entries) yield* stringsIn(item, [...path, key]);
}
