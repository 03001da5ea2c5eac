// GET /v1/environments
import { environmentList } from '../../api/environment.ts';
import type { EnvironmentService } from '../../environments/service.ts';
import { defineRoute } from '../define-route.ts';
import { environmentView } from '../environment-view.ts';

export function listEnvironmentsRoute(environments: Pick<EnvironmentService, 'list'>) {
  return defineRoute({
    method: 'get',
    path: '/v1/environments',
    summary: 'The environments that the caller may access',
    auth: 'token',
    request: {},
    responses: { 200: { description: 'By name', schema: environmentList } },
    problems: [],
    async handle({ principal, signal }) {
      const items = await environments.list(principal, signal);
      return { status: 200, body: { items: items.map(environmentView) } };
    },
  });
}
