// The routes of the service, in the order in which its description lists them.
import type { ClusterAccess } from '../environments/cluster-access.ts';
import type { EnvironmentService } from '../environments/service.ts';
import type { EnvironmentStore } from '../environments/store.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Route } from './define-route.ts';
import { createEnvironmentRoute } from './routes/create-environment.ts';
import { deleteEnvironmentRoute } from './routes/delete-environment.ts';
import { environmentEventsRoute } from './routes/environment-events.ts';
import { getEnvironmentRoute } from './routes/get-environment.ts';
import { getKubeconfigRoute } from './routes/get-kubeconfig.ts';
import { healthRoute } from './routes/health.ts';
import { listEnvironmentsRoute } from './routes/list-environments.ts';
import { metricsRoute } from './routes/metrics.ts';
import { type ReadinessChecks, readinessRoute } from './routes/readiness.ts';

export interface ServiceRoutesDeps {
  environments: EnvironmentService;
  store: EnvironmentStore;
  clusterAccess: ClusterAccess;
  metrics: Metrics;
  readiness: ReadinessChecks;
  publicUrl: string;
  publicCa?: string;
}

export function serviceRoutes({
  environments,
  store,
  clusterAccess,
  metrics,
  readiness,
  publicUrl,
  publicCa,
}: ServiceRoutesDeps): Route[] {
  return [
    createEnvironmentRoute(environments),
    listEnvironmentsRoute(environments),
    getEnvironmentRoute(environments),
    deleteEnvironmentRoute(environments),
    getKubeconfigRoute({ environments, clusterAccess, publicUrl, publicCa }),
    environmentEventsRoute({ environments, store }),
    healthRoute,
    readinessRoute(readiness),
    metricsRoute(metrics),
  ];
}
