// GET /healthz: the process answers. Depends on nothing else, or an outage of something else would restart every replica.
import { health } from '../../api/status.ts';
import { defineRoute } from '../define-route.ts';

export const healthRoute = defineRoute({
  method: 'get',
  path: '/healthz',
  summary: 'Whether the process answers',
  auth: 'none',
  request: {},
  responses: { 200: { description: 'It does', schema: health } },
  problems: [],
  handle: async () => ({ status: 200, body: { status: 'ok' } }),
});
