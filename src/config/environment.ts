// How a process reads its configuration: environment variables through a zod schema, secrets from the files they name.
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { errorMessage, InvalidInputError } from '../lib/errors.ts';

export type ProcessEnvironment = Record<string, string | undefined>;

/** A variable in seconds, which the program has in milliseconds. */
export const seconds = (defaultSeconds: number) =>
  z.coerce
    .number()
    .positive()
    .default(defaultSeconds)
    .transform((value) => value * 1000);

/** Without slashes at its end, so that paths can be appended. */
export const httpUrl = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ''));

/**
 * The variables that `schema` names. An empty variable counts as absent, as charts and shells write it.
 * @throws InvalidInputError `InvalidConfiguration`; names every variable that is wrong, and no value.
 */
export function parseEnvironment<Schema extends z.ZodType>(
  schema: Schema,
  env: ProcessEnvironment,
): z.infer<Schema> {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(present);
  if (parsed.success) return parsed.data;
  throw invalidConfiguration(z.prettifyError(parsed.error), parsed.error);
}

/** The content of the file that a variable names, without surrounding white space. */
export async function readSecretFile(variable: string, path: string): Promise<string> {
  let content: string;
  try {
    content = (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw invalidConfiguration(`${variable}: ${errorMessage(cause)}`, cause);
  }
  if (content === '') throw invalidConfiguration(`${variable}: ${path} is empty`);
  return content;
}

function invalidConfiguration(message: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError({ code: 'InvalidConfiguration', message, cause });
}
