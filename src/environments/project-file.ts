// `.mayfly.yaml`: what a repository says about its previews. Pure: text in, a typed value or every mistake with its place
// out.
import { LineCounter, parseDocument } from 'yaml';
import type * as z from 'zod';
import { errorMessage, InvalidInputError } from '../lib/errors.ts';
import { describeIssue, PROJECT_FILE_NAME, problemLines } from './project-file-problems.ts';
import { expandDottedKeys, projectFileSchema } from './project-file-schema.ts';
import type { JsonValue } from './project-file-variables.ts';

export interface ProjectFile {
  on: {
    /** Globs of base branches; absent: all. */
    branches?: string[];
    /** Globs of changed files, one of which must match; absent: all. */
    paths?: string[];
    /** Whether drafts get an environment. */
    drafts: boolean;
  };
  environment: { ttlMs?: number; kubernetesVersion?: string };
  deploy: ProjectDeploy;
  /** Empty: nothing is published, or the image's own port. The entry without a name is the main preview. */
  expose: ExposedService[];
  ready: {
    /** Answers 2xx or 3xx on the main preview when the app is ready; absent: any answer will do. */
    path?: string;
    timeoutMs: number;
  };
}

/** Strings may hold `${{ name }}`: see project-file-variables.ts. Paths are relative to the root of the repository. */
export type ProjectDeploy =
  /** Files, or folders of files, of Kubernetes objects. */
  | { kind: 'manifests'; paths: string[] }
  /** A chart in the repository. */
  | { kind: 'helm'; chart: string; values: Record<string, JsonValue> }
  | { kind: 'image'; image: string; port: number };

export interface ExposedService {
  /** Name of a Service in the namespace that the app is deployed to. */
  service: string;
  port: number;
  /** Empty for the main preview. */
  name: string;
}

const MAX_PROBLEMS = 20;

/** @throws InvalidInputError with code `InvalidProjectFile`; its message has one line for each mistake, with its place. */
export function parseProjectFile(text: string): ProjectFile {
  const lines = new LineCounter();
  const document = parseYaml(text, lines);
  const parsed = projectFileSchema.safeParse(
    toPlainValue(() => document.toJS()),
    { error: describeIssue },
  );
  if (!parsed.success) throw invalid(problemLines({ document, lines }, parsed.error.issues));

  const { on, environment, deploy, expose, ready } = parsed.data;
  return {
    on,
    environment: { ttlMs: environment.ttl, kubernetesVersion: environment.kubernetes },
    deploy: toDeploy(deploy),
    expose,
    ready: { path: ready.path, timeoutMs: ready.timeout },
  };
}

function toDeploy({ manifests, helm, image }: z.output<typeof projectFileSchema>['deploy']): ProjectDeploy {
  if (helm) return { kind: 'helm', chart: helm.chart, values: expandDottedKeys(helm.values).values };
  if (image) return { kind: 'image', image: image.name, port: image.port };
  return { kind: 'manifests', paths: manifests ?? [] };
}

function parseYaml(text: string, lines: LineCounter) {
  const document = toPlainValue(() => parseDocument(text, { lineCounter: lines, prettyErrors: false }));
  if (document.errors.length === 0) return document;
  throw invalid(
    document.errors.map(({ pos: [offset], message }) => {
      const { line, col } = lines.linePos(offset);
      return `${PROJECT_FILE_NAME}:${line}:${col} ${message}`;
    }),
  );
}

/** The parser throws on too many aliases, and on nesting deeper than its stack. */
function toPlainValue<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw invalid([`${PROJECT_FILE_NAME}:1:1 ${errorMessage(error)}`], error);
  }
}

function invalid(problems: readonly string[], cause?: unknown): InvalidInputError {
  const more = problems.length > MAX_PROBLEMS ? [`… and ${problems.length - MAX_PROBLEMS} more`] : [];
  return new InvalidInputError({
    code: 'InvalidProjectFile',
    message: [...problems.slice(0, MAX_PROBLEMS), ...more].join('\n'),
    cause,
  });
}
