// Why conformance tests fail, written by hand beside this file.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const schema = z.array(z.strictObject({ reason: z.string().min(1), tests: z.array(z.string()).min(1) }));

/** Reasons by the name of the test. */
export type KnownFailures = ReadonlyMap<string, string>;

export async function readKnownFailures(
  file = join(import.meta.dirname, 'known-failures.yaml'),
): Promise<KnownFailures> {
  return parseKnownFailures(await readFile(file, 'utf8'));
}

/** @throws ZodError when it is not a list of reasons with tests. */
export function parseKnownFailures(text: string): KnownFailures {
  const entries = schema.parse(parse(text) ?? []);
  return new Map(entries.flatMap(({ reason, tests }) => tests.map((test) => [test, reason.trim()] as const)));
}
