// Says where in `.mayfly.yaml` a mistake is: `.mayfly.yaml:9:5 deploy: unknown key "helmm", did you mean "helm"?`.
import { type Document, isAlias, isMap, isNode, isPair, isScalar, isSeq, type LineCounter } from 'yaml';
import type * as z from 'zod';

export const PROJECT_FILE_NAME = '.mayfly.yaml';

export interface SourceText {
  document: Document;
  lines: LineCounter;
}

/** One line for each mistake, in the order of the file. */
export function problemLines({ document, lines }: SourceText, issues: readonly z.core.$ZodIssue[]): string[] {
  return issues
    .flatMap((issue) => flatten(issue))
    .map(({ path, key, message }) => ({ path, message, offset: offsetOf(document, path, key) }))
    .sort((a, b) => a.offset - b.offset)
    .map(({ path, message, offset }) => {
      const { line, col } = lines.linePos(offset);
      const where = `${PROJECT_FILE_NAME}:${line}:${col}`;
      return path.length === 0 ? `${where} ${message}` : `${where} ${pathText(path)}: ${message}`;
    });
}

interface Located {
  path: PropertyKey[];
  /** A key inside the object at `path` that the mistake is about. */
  key?: string;
  message: string;
}

function flatten(issue: z.core.$ZodIssue): Located[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, message: issue.message }];
  const messages = issue.message.split('\n');
  return issue.keys.map((key, index) => ({
    path: issue.path,
    key,
    message: messages[index] ?? issue.message,
  }));
}

/** What a value of the wrong type is told, where the schema has no better words. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.input === undefined) return 'is missing';
  const article = /^[aeio]/.test(issue.expected) ? 'an' : 'a';
  return `must be ${article} ${issue.expected === 'record' ? 'object' : issue.expected}, not ${typeName(issue.input)}`;
}

function typeName(input: unknown): string {
  if (input === null) return 'empty';
  if (Array.isArray(input)) return 'a list';
  return typeof input === 'object' ? 'an object' : `a ${typeof input}`;
}

/** Offset of the node at `path`; of the nearest object around it when there is none, as for a missing key. */
function offsetOf(document: Document, path: readonly PropertyKey[], key: string | undefined): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const part of key === undefined ? path : [...path, key]) {
    const container = isAlias(node) ? node.resolve(document) : node;
    if (isMap(container)) {
      const pair = container.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(part),
      );
      if (!isPair(pair)) return offset;
      // Where the key stands is where people look; the value may be far below or empty.
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(container)) {
      node = container.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return key === undefined && isScalar(node) && node.value !== null ? (startOf(node) ?? offset) : offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}
