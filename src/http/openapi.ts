// The description of the API, made from the routes themselves: it cannot say anything else than what they do.
import * as z from 'zod';
import { PROBLEM_MEDIA_TYPE, problem } from '../api/problem.ts';
import type { ResponseSpec, Route } from './define-route.ts';

/** What every route may answer, whatever it does. */
const EVERYWHERE = [500, 503];

const COMPONENT_REF = '#/components/schemas/';

/** As much of a JSON Schema as is looked at here. */
interface JsonSchema {
  $schema?: string;
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  id?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

type Components = Record<string, JsonSchema>;

interface Parameter {
  name: string;
  in: 'path' | 'query';
  required: boolean;
  schema: object;
}

export interface OpenApiOptions {
  version: string;
  serverUrl: string;
}

/** An OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12 as zod writes it. */
export function openApiDocument(routes: readonly Route[], { version, serverUrl }: OpenApiOptions) {
  const components: Components = {};
  const problemRef = schemaOf(problem, 'output', components);
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(route, problemRef, components) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Mayfly',
      version,
      description: 'Every pull request its own Kubernetes cluster, for as long as it is needed.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: serverUrl }],
    paths,
    components: {
      schemas: components,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function operation(
  { summary, auth, request, responses, problems }: Route,
  problemRef: JsonSchema,
  components: Components,
): object {
  const withToken = auth === 'token';
  const statuses = [...(withToken ? [401] : []), ...problems, ...EVERYWHERE];
  const parameters = [
    ...parametersOf('path', request.params, components),
    ...parametersOf('query', request.query, components),
  ];
  const problemResponse = {
    description: 'A problem',
    content: { [PROBLEM_MEDIA_TYPE]: { schema: problemRef } },
  };
  return {
    summary,
    ...(withToken && { security: [{ token: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(request.body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: schemaOf(request.body, 'input', components) } },
      },
    }),
    responses: Object.fromEntries([
      ...[...new Set(statuses)].map((status) => [status, problemResponse]),
      ...Object.entries(responses).map(([status, spec]) => [status, responseOf(spec, components)]),
    ]),
  };
}

function responseOf(
  { description, schema, mediaType = 'application/json' }: ResponseSpec,
  components: Components,
): object {
  const content = schema && { [mediaType]: { schema: schemaOf(schema, 'output', components) } };
  return { description, ...(content && { content }) };
}

function parametersOf(
  place: Parameter['in'],
  schema: z.ZodType | undefined,
  components: Components,
): Parameter[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input', components);
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: property,
  }));
}

/** Schemas with an `id` become components, wherever they are used. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', components: Components): JsonSchema {
  const text = JSON.stringify(z.toJSONSchema(schema, { target: 'draft-2020-12', io }));
  const moved: JsonSchema = JSON.parse(text.replaceAll('"#/$defs/', `"${COMPONENT_REF}`));
  const { $schema, $defs = {}, id, ...rest } = moved;
  for (const [name, { id: _, ...definition }] of Object.entries($defs)) components[name] = definition;
  if (id === undefined) return rest;
  components[id] = rest;
  return { $ref: `${COMPONENT_REF}${id}` };
}
