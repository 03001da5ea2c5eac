// The server put together from what it needs: the API, both gateways, and the port they share.
import type { ClusterAccess } from '../environments/cluster-access.ts';
import type { EnvironmentService } from '../environments/service.ts';
import type { EnvironmentStore } from '../environments/store.ts';
import type { Logger } from '../lib/logger.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { DeliveryLog } from '../queue/delivery-log.ts';
import type { JobProducer } from '../queue/producer.ts';
import { type ApiToken, createTokenAuthenticator } from './authenticate.ts';
import { createApp } from './create-app.ts';
import { createServer, type MayflyServer } from './create-server.ts';
import { createClusterGateway } from './gateway/cluster-gateway.ts';
import { createPreviewGateway } from './gateway/preview-gateway.ts';
import { GITHUB_WEBHOOK_PATH, githubWebhook } from './github-webhook.ts';
import type { ReadinessChecks } from './routes/readiness.ts';
import { serviceRoutes } from './service-routes.ts';

export interface ServiceDeps {
  environments: EnvironmentService;
  store: EnvironmentStore;
  clusterAccess: ClusterAccess;
  deliveries: DeliveryLog;
  producer: JobProducer;
  apiTokens: readonly ApiToken[];
  apiTokenAdmins: readonly string[];
  /** None: no webhook is served. */
  webhookSecrets: readonly string[];
  publicUrl: string;
  publicCa?: string;
  previewUrl: string;
  readiness: ReadinessChecks;
  version: string;
  logger: Logger;
  metrics: Metrics;
  /** Aborted when the process must end. */
  shutdown: AbortSignal;
}

export function createService(deps: ServiceDeps): MayflyServer {
  const { store, clusterAccess, logger, metrics, shutdown, publicUrl, webhookSecrets } = deps;
  const previewUrl = new URL(deps.previewUrl);
  const app = createApp({
    routes: serviceRoutes(deps),
    webhook:
      webhookSecrets.length === 0
        ? undefined
        : { path: GITHUB_WEBHOOK_PATH, handlers: githubWebhook({ ...deps, secrets: webhookSecrets }) },
    authenticator: createTokenAuthenticator(deps.apiTokens, deps.apiTokenAdmins),
    logger,
    metrics,
    publicUrl,
    version: deps.version,
    shutdown,
  });
  return createServer({
    app,
    previews: createPreviewGateway({
      store,
      protocol: previewUrl.protocol === 'https:' ? 'https' : 'http',
      logger,
    }),
    clusters: createClusterGateway({ store, clusterAccess, logger, shutdown }),
    hosts: { publicHost: new URL(publicUrl).hostname, previewDomain: previewUrl.hostname },
  });
}
