// Entry point of the worker: configuration, connections, jobs and the sweep, and an orderly end.
import { readFile } from 'node:fs/promises';
import { loadWorkerConfig } from '../src/config/worker.ts';
import { createClusterAccess } from '../src/environments/cluster-access.ts';
import { createEnvironmentService } from '../src/environments/service.ts';
import { createEnvironmentStore } from '../src/environments/store.ts';
import { createGitHub } from '../src/github/client.ts';
import { createKubeClient } from '../src/kube/client.ts';
import { inClusterConnection } from '../src/kube/connection.ts';
import { connectionFromKubeconfig } from '../src/kube/kubeconfig.ts';
import { createReflectorMetrics } from '../src/kube/metrics.ts';
import { createTransport } from '../src/kube/transport.ts';
import { systemClock as clock } from '../src/lib/clock.ts';
import { createLogger } from '../src/lib/logger.ts';
import { createMetrics } from '../src/lib/metrics.ts';
import { createJobWorker } from '../src/queue/job-worker.ts';
import { reconcileEnvironment, syncPullRequest } from '../src/queue/jobs.ts';
import { createJobProducer } from '../src/queue/producer.ts';
import { assertNoEviction, createRedis, redisReady } from '../src/queue/redis.ts';
import { createEnvironmentAccess } from './environment-access.ts';
import { createEnvironmentRunner } from './environment-runner.ts';
import { startHealthServer } from './health.ts';
import { createReconcileEnvironmentHandler } from './jobs/reconcile-environment.ts';
import { createSyncPullRequestHandler } from './jobs/sync-pull-request.ts';
import { createPullRequests } from './pull-requests.ts';
import { createServerClock } from './server-clock.ts';
import { createSweep } from './sweep/sweep.ts';

/** How long to wait for Redis before the process gives up and is started again. */
const START_TIMEOUT_MS = 60_000;
/** For connections to close, once no job runs any more. Redis may be away by then, and is waited for otherwise. */
const END_TIMEOUT_MS = 5_000;

const config = await loadWorkerConfig(process.env);
const logger = createLogger({ name: 'worker', level: config.logLevel });
const metrics = createMetrics();
const ending = new AbortController();
const shutdown = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => ending.abort(new Error(`received ${signal}`)));
}
const { namespace, release } = config;

const connection = config.kubeconfigFile
  ? connectionFromKubeconfig(await readFile(config.kubeconfigFile, 'utf8'))
  : await inClusterConnection(process.env);
const client = createKubeClient(createTransport(connection, { process: 'worker' }));
const store = createEnvironmentStore({
  client,
  namespace,
  logger,
  metrics: createReflectorMetrics(metrics)('host/environments'),
});
const queueRedis = createRedis('worker', config.redis, logger);
const producerRedis = createRedis('producer', config.redis, logger);
const health = await startHealthServer({
  port: config.healthPort,
  readiness: {
    environments: () => store.hasSynced(),
    redis: () => queueRedis.status === 'ready',
    running: () => !ending.signal.aborted,
  },
  metrics,
});
logger.info({ port: health.port }, 'serving probes');

const starting = AbortSignal.any([ending.signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
await Promise.all([redisReady(queueRedis, starting), redisReady(producerRedis, starting)]);
await assertNoEviction(producerRedis);

const producer = createJobProducer({ redis: producerRedis });
const github = config.github && createGitHub({ ...config.github, clock, logger });
const pullRequests = createPullRequests({ github, forks: config.forks });
const serverClock = createServerClock({ client, clock, logger });
const service = createEnvironmentService({
  client,
  namespace,
  clock: serverClock,
  limits: config.ttl,
  kubernetesVersions: config.kubernetesVersions,
});
const environments = createEnvironmentAccess({ client, namespace, store });
const runner = createEnvironmentRunner({
  config,
  client,
  access: createClusterAccess({ client, clock }),
  environments,
  pullRequests,
  clock,
  serverClock,
  logger,
});

const jobs = { redis: queueRedis, concurrency: config.concurrency, logger, metrics };
const jobWorkers = [
  createJobWorker({
    ...jobs,
    definition: reconcileEnvironment,
    handle: createReconcileEnvironmentHandler({ runner, environments, producer, client, namespace }),
  }),
  createJobWorker({
    ...jobs,
    definition: syncPullRequest,
    handle: createSyncPullRequestHandler({ pullRequests, service }),
  }),
];
const sweep = createSweep({
  client,
  namespace,
  release,
  store,
  service,
  producer,
  serverClock,
  clock,
  intervalMs: config.sweepIntervalMs,
  resyncMs: config.resyncMs,
  maxLifetimeMs: config.ttl.maxLifetimeMs,
  logger,
});

const following = [store.run(shutdown.signal), sweep.run(shutdown.signal)];
const working = jobWorkers.map((worker) => worker.run());
logger.info({ namespace, concurrency: config.concurrency }, 'working');

await new Promise((resolve) => {
  if (ending.signal.aborted) resolve(undefined);
  else ending.signal.addEventListener('abort', resolve, { once: true });
});
logger.info({ reason: String(ending.signal.reason) }, 'ending');
// Runs that go on while the worker drains need to hear of newer commits, so the watch ends after them.
await Promise.all(jobWorkers.map((worker) => worker.close({ drainMs: config.drainMs })));
shutdown.abort(ending.signal.reason);
const closed = Promise.all([...following, ...working, producer.close(), health.close()]);
await Promise.race([closed, clock.sleep(END_TIMEOUT_MS)]);
queueRedis.disconnect();
producerRedis.disconnect();
await client.close();
logger.info('ended');
process.exit();
