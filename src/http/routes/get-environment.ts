// GET /v1/environments/:name
import { environment } from '../../api/environment.ts';
import type { EnvironmentService } from '../../environments/service.ts';
import { defineRoute } from '../define-route.ts';
import { environmentView } from '../environment-view.ts';
import { namedEnvironment } from './named-environment.ts';

export function getEnvironmentRoute(environments: Pick<EnvironmentService, 'get'>) {
  return defineRoute({
    method: 'get',
    path: '/v1/environments/:name',
    summary: 'One environment',
    auth: 'token',
    request: { params: namedEnvironment },
    responses: { 200: { description: 'As it is now', schema: environment } },
    problems: [400, 404],
    async handle({ params, principal, signal }) {
      const found = await environments.get(principal, params.name, signal);
      return { status: 200, body: environmentView(found) };
    },
  });
}
