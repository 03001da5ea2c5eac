// POST /v1/environments
import { createEnvironmentRequest, environment } from '../../api/environment.ts';
import type { EnvironmentService } from '../../environments/service.ts';
import { defineRoute } from '../define-route.ts';
import { environmentView } from '../environment-view.ts';

export function createEnvironmentRoute(environments: Pick<EnvironmentService, 'create'>) {
  return defineRoute({
    method: 'post',
    path: '/v1/environments',
    summary: 'Ask for an environment; asking again for the same one answers with it',
    auth: 'token',
    request: { body: createEnvironmentRequest },
    responses: {
      201: { description: 'It will be provisioned', schema: environment },
      200: { description: 'It was there already', schema: environment },
    },
    problems: [400, 409, 413, 415],
    async handle({ body, principal, signal }) {
      const { ttlSeconds, ...wanted } = body;
      const ttlMs = ttlSeconds === undefined ? undefined : ttlSeconds * 1000;
      const result = await environments.create(principal, { ...wanted, ttlMs }, signal);
      const view = environmentView(result.environment);
      return {
        status: result.created ? 201 : 200,
        headers: { location: `/v1/environments/${view.name}` },
        body: view,
      };
    },
  });
}
