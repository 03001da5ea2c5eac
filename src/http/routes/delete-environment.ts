// DELETE /v1/environments/:name
import { environment } from '../../api/environment.ts';
import type { EnvironmentService } from '../../environments/service.ts';
import { defineRoute } from '../define-route.ts';
import { environmentView } from '../environment-view.ts';
import { namedEnvironment } from './named-environment.ts';

export function deleteEnvironmentRoute(environments: Pick<EnvironmentService, 'delete'>) {
  return defineRoute({
    method: 'delete',
    path: '/v1/environments/:name',
    summary: 'Tear an environment down',
    auth: 'token',
    request: { params: namedEnvironment },
    responses: {
      202: { description: 'The teardown has begun; this is what it was before', schema: environment },
    },
    problems: [400, 404, 409],
    async handle({ params, principal, signal }) {
      const deleted = await environments.delete(principal, params.name, signal);
      return { status: 202, body: environmentView(deleted) };
    },
  });
}
