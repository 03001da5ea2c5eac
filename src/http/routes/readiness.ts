// GET /readyz: whether this replica can do its work now.
import { readiness } from '../../api/status.ts';
import { defineRoute } from '../define-route.ts';

/** True while that which it is named for works. */
export type ReadinessChecks = Record<string, () => boolean>;

export function readinessRoute(checks: ReadinessChecks) {
  return defineRoute({
    method: 'get',
    path: '/readyz',
    summary: 'Whether this replica can do its work',
    auth: 'none',
    request: {},
    responses: {
      200: { description: 'It can', schema: readiness },
      503: { description: 'It cannot: what is missing', schema: readiness },
    },
    problems: [],
    async handle() {
      const results = Object.entries(checks).map(
        ([name, holds]) => [name, holds() ? 'ok' : 'unavailable'] as const,
      );
      const isReady = results.every(([, result]) => result === 'ok');
      return {
        status: isReady ? 200 : 503,
        body: { status: isReady ? 'ok' : 'unavailable', checks: Object.fromEntries(results) },
      };
    },
  });
}
