// GET /metrics, for Prometheus inside the cluster.
import * as z from 'zod';
import type { Metrics } from '../../lib/metrics.ts';
import { defineRoute } from '../define-route.ts';

export function metricsRoute(metrics: Metrics) {
  return defineRoute({
    method: 'get',
    path: '/metrics',
    summary: 'Figures in the text format of Prometheus',
    auth: 'none',
    request: {},
    responses: { 200: { description: 'The figures', schema: z.string(), mediaType: metrics.contentType } },
    problems: [],
    handle: async () => ({ status: 200, body: await metrics.metrics() }),
  });
}
