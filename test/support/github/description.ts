// GitHub's published description of its API (npm @octokit/openapi): what responses and deliveries must look like, and
// the examples that ours are made from.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json | undefined };

interface Described {
  /** Of a path of the description: `GET /repos/{owner}/{repo}/pulls/{pull_number}`. */
  operation: string;
  status: number;
  body: unknown;
}

export interface Description {
  /** A copy of `components.examples[name].value`. */
  example(name: string): Json;
  /** What is wrong with a response, or undefined when it is as described. */
  responseProblem(response: Described): string | undefined;
  /** What is wrong with the body of a delivery: `pull-request-opened`. */
  deliveryProblem(webhook: string, body: unknown): string | undefined;
}

/** What GitHub does although its description forgets it: the head of a pull request whose fork was deleted. */
const KNOWN_GAPS: readonly string[] = ['data/head/repo must be object'];

let loaded: Description | undefined;

/** Read once per process: it has 13 MB. */
export function githubDescription(): Description {
  loaded ??= load();
  return loaded;
}

function load(): Description {
  const file = createRequire(import.meta.url).resolve('@octokit/openapi/generated/api.github.com.json');
  const document: JsonObject = JSON.parse(readFileSync(file, 'utf8'), (_, value: Json) => withNull(value));
  const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'github');
  const compiled = new Map<string, ValidateFunction>();

  const find = (pointer: readonly string[]): Json | undefined => {
    let value: Json | undefined = document;
    for (const part of pointer) {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
      value = value[part];
      const reference = isObject(value) ? value.$ref : undefined;
      if (typeof reference === 'string') value = find(pointerParts(reference));
    }
    return value;
  };

  const problem = (pointer: readonly string[], body: unknown): string | undefined => {
    const id = `github#/${pointer.map(escapePart).join('/')}`;
    let validate = compiled.get(id);
    if (!validate) {
      validate = ajv.compile({ $ref: id });
      compiled.set(id, validate);
    }
    const found = validate(body) ? undefined : ajv.errorsText(validate.errors);
    return found !== undefined && KNOWN_GAPS.includes(found) ? undefined : found;
  };

  return {
    example(name) {
      const value = find(['components', 'examples', name, 'value']);
      if (value === undefined) throw new Error(`GitHub's description has no example ${name}`);
      return structuredClone(value);
    },

    responseProblem({ operation, status, body }) {
      const [method = '', path = ''] = operation.split(' ');
      const responses = ['paths', path, method.toLowerCase(), 'responses'];
      if (find(responses) === undefined) return `${operation} is not described`;
      const described = find([...responses, String(status)]);
      const response = isObject(described) ? described : undefined;
      if (response === undefined) {
        // Answers that GitHub may give to anything are described once, as basic-error.
        return status >= 300
          ? problem(['components', 'schemas', 'basic-error'], body)
          : `${operation} does not answer ${status}`;
      }
      if (response.content === undefined) return body === undefined ? undefined : 'the body should be empty';
      return problem(
        [...referenceTarget(document, responses, String(status)), 'content', 'application/json', 'schema'],
        body,
      );
    },

    deliveryProblem(webhook, body) {
      const schema = ['x-webhooks', webhook, 'post', 'requestBody', 'content', 'application/json', 'schema'];
      return find(schema) === undefined ? `${webhook} is not described` : problem(schema, body);
    },
  };
}

/** `nullable` beside something else than `type`, which OpenAPI 3.0 leaves open and the validator refuses. */
function withNull(value: Json): Json {
  if (!isObject(value) || value.nullable !== true || value.type !== undefined) return value;
  const { nullable: _, ...schema } = value;
  return { anyOf: [schema, { enum: [null] }] };
}

/** Where a response is described: in place, or in the components when it is a reference. */
function referenceTarget(document: JsonObject, responses: readonly string[], status: string): string[] {
  let value: Json | undefined = document;
  for (const part of [...responses, status]) value = isObject(value) ? value[part] : undefined;
  const reference = isObject(value) ? value.$ref : undefined;
  return typeof reference === 'string' ? pointerParts(reference) : [...responses, status];
}

function pointerParts(reference: string): string[] {
  return reference
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function escapePart(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
