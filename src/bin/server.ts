// Entry point of the server: configuration, connections, the port, and an orderly end.
import { readFile } from 'node:fs/promises';
import packageJson from '../../package.json' with { type: 'json' };
import { loadServerConfig } from '../config/server.ts';
import { createClusterAccess } from '../environments/cluster-access.ts';
import { createEnvironmentService } from '../environments/service.ts';
import { createEnvironmentStore } from '../environments/store.ts';
import { createService } from '../http/create-service.ts';
import { createKubeClient } from '../kube/client.ts';
import { inClusterConnection } from '../kube/connection.ts';
import { connectionFromKubeconfig } from '../kube/kubeconfig.ts';
import { createReflectorMetrics } from '../kube/metrics.ts';
import { createTransport } from '../kube/transport.ts';
import { systemClock } from '../lib/clock.ts';
import { createLogger } from '../lib/logger.ts';
import { createMetrics } from '../lib/metrics.ts';
import { createDeliveryLog } from '../queue/delivery-log.ts';
import { createJobProducer } from '../queue/producer.ts';
import { assertNoEviction, createRedis, redisReady } from '../queue/redis.ts';

/** How long to wait for Redis before the process gives up and is started again. */
const START_TIMEOUT_MS = 60_000;
/** After the end was asked for, requests still arrive until every load balancer knows. */
const LAME_DUCK_MS = 3_000;

const config = await loadServerConfig(process.env);
const logger = createLogger({ name: 'server', level: config.logLevel });
const metrics = createMetrics();
const ending = new AbortController();
const shutdown = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => ending.abort(new Error(`received ${signal}`)));
}

const redis = createRedis('producer', config.redis, logger);
await redisReady(redis, AbortSignal.any([ending.signal, AbortSignal.timeout(START_TIMEOUT_MS)]));
await assertNoEviction(redis);

const connection = config.kubeconfigFile
  ? connectionFromKubeconfig(await readFile(config.kubeconfigFile, 'utf8'))
  : await inClusterConnection(process.env);
const transport = createTransport(connection, { process: 'server' });
const client = createKubeClient(transport);
const { namespace } = config;

const store = createEnvironmentStore({
  client,
  namespace,
  logger,
  metrics: createReflectorMetrics(metrics)('host/environments'),
});
const following = store.run(shutdown.signal);
const producer = createJobProducer({ redis });

const server = createService({
  ...config,
  environments: createEnvironmentService({ ...config, client, clock: systemClock, limits: config.ttl }),
  store,
  clusterAccess: createClusterAccess({ client, clock: systemClock }),
  deliveries: createDeliveryLog({ redis }),
  producer,
  readiness: {
    environments: () => store.hasSynced(),
    redis: () => redis.status === 'ready',
    running: () => !ending.signal.aborted,
  },
  version: packageJson.version,
  logger,
  metrics,
  shutdown: shutdown.signal,
});
const { port } = await server.listen(config.port);
logger.info({ port, publicUrl: config.publicUrl }, 'listening');

await new Promise((resolve) => {
  if (ending.signal.aborted) resolve(undefined);
  else ending.signal.addEventListener('abort', resolve, { once: true });
});
logger.info({ reason: String(ending.signal.reason) }, 'ending');
await systemClock.sleep(LAME_DUCK_MS);
shutdown.abort(ending.signal.reason);
await server.close({ drainMs: config.drainMs });
await following;
await producer.close();
redis.disconnect();
await client.close();
logger.info('ended');
