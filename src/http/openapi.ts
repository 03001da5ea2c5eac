// The description of the API, made from the routes themselves: it cannot say anything else than what they do.
import { z } from 'zod';
import { PROBLEM_MEDIA_TYPE, problem } from '../api/problem.ts';
import type { ResponseSpec, Route } from './define-route.ts';

/** What every route may answer, whatever it does. */
const EVERYWHERE = [500, 503];

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
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(route) };
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
      schemas: { Problem: schemaOf(problem, 'output') },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function operation({ summary, auth, request, responses, problems }: Route): object {
  const withToken = auth === 'token';
  const statuses = [...(withToken ? [401] : []), ...problems, ...EVERYWHERE];
  const parameters = [...parametersOf('path', request.params), ...parametersOf('query', request.query)];
  return {
    summary,
    ...(withToken && { security: [{ token: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(request.body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: schemaOf(request.body, 'input') } },
      },
    }),
    responses: Object.fromEntries([
      ...[...new Set(statuses)].map((status) => [status, problemResponse]),
      ...Object.entries(responses).map(([status, spec]) => [status, responseOf(spec)]),
    ]),
  };
}

const problemResponse = {
  description: 'A problem',
  content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
};

function responseOf({ description, schema, mediaType = 'application/json' }: ResponseSpec): object {
  return { description, ...(schema && { content: { [mediaType]: { schema: schemaOf(schema, 'output') } } }) };
}

function parametersOf(place: Parameter['in'], schema: z.ZodType | undefined): Parameter[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input');
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: typeof property === 'object' ? property : {},
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output') {
  const { $schema, id, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, reused: 'inline' });
  return rest;
}
