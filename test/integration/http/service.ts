// The real service on a loopback port, with a real Redis and a Kubernetes API in memory, for the tests of this folder.
import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import {
  createClusterAccess,
  serviceServer,
  type VirtualClusterAddress,
} from '../../../src/environments/cluster-access.ts';
import { setCondition } from '../../../src/environments/conditions.ts';
import { phaseOf } from '../../../src/environments/phase.ts';
import {
  type ConditionType,
  ENVIRONMENTS,
  type Environment,
  type EnvironmentStatus,
} from '../../../src/environments/resource.ts';
import { createEnvironmentService } from '../../../src/environments/service.ts';
import { createEnvironmentStore, type EnvironmentStore } from '../../../src/environments/store.ts';
import { createService } from '../../../src/http/create-service.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createDeliveryLog } from '../../../src/queue/delivery-log.ts';
import { createJobProducer } from '../../../src/queue/producer.ts';
import { createRedis, redisReady } from '../../../src/queue/redis.ts';
import { createMemoryApiServer, type MemoryApiServer } from '../../support/memory-api-server.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

export const NAMESPACE = 'mayfly';
export const PREVIEW_DOMAIN = 'preview.test';
export const WEBHOOK_SECRETS = ['the new secret', 'the old secret'];
export const TOKENS = { alice: 'alice-token', bob: 'bob-token', root: 'root-token' };
export type TokenName = keyof typeof TOKENS;

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Call {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

export interface TestService extends AsyncDisposable {
  port: number;
  host: MemoryApiServer;
  store: EnvironmentStore;
  redis: TestRedis;
  /** One request as it is, with no header and no path made nicer. */
  call(path: string, call?: Call): Promise<Answer>;
  /** The same as the owner of a token, with JSON in and out. */
  api(token: TokenName | undefined, method: string, path: string, body?: unknown): Promise<Answer>;
  /** Puts an environment there as the worker would have left it. */
  environment(name: string, status?: Partial<EnvironmentStatus>): Promise<Environment>;
  /** Ends the service as SIGTERM does, but for its process. */
  stop(options: { drainMs: number }): Promise<void>;
}

export interface TestServiceOptions {
  serverOf?: (address: VirtualClusterAddress) => string;
}

export async function startService({
  serverOf = serviceServer,
}: TestServiceOptions = {}): Promise<TestService> {
  const logger = pino({ level: 'silent' });
  const metrics = new Registry();
  const shutdown = new AbortController();
  const redis = await startRedis();
  const connection = createRedis('producer', { url: redis.url }, logger);
  await redisReady(connection, AbortSignal.timeout(5_000));
  const host = createMemoryApiServer();
  const { client } = host;
  const store = createEnvironmentStore({ client, namespace: NAMESPACE, logger });
  const following = store.run(shutdown.signal);
  await store.synced(AbortSignal.timeout(5_000));
  const producer = createJobProducer({ redis: connection });
  const hourMs = 3_600_000;
  const server = createService({
    environments: createEnvironmentService({
      client,
      namespace: NAMESPACE,
      clock: systemClock,
      limits: { defaultTtlMs: hourMs, maxTtlMs: 2 * hourMs, maxLifetimeMs: 4 * hourMs },
      kubernetesVersions: ['1.34'],
    }),
    store,
    clusterAccess: createClusterAccess({ client, clock: systemClock, serverOf }),
    deliveries: createDeliveryLog({ redis: connection }),
    producer,
    apiTokens: Object.entries(TOKENS).map(([name, token]) => ({
      name,
      digest: createHash('sha256').update(token).digest(),
    })),
    apiTokenAdmins: ['root'],
    webhookSecrets: WEBHOOK_SECRETS,
    publicUrl: 'http://mayfly.test',
    previewUrl: `http://${PREVIEW_DOMAIN}`,
    readiness: { environments: () => store.hasSynced(), redis: () => connection.status === 'ready' },
    version: '0.0.0',
    logger,
    metrics,
    shutdown: shutdown.signal,
  });
  const { port } = await server.listen(0, '127.0.0.1');

  const call: TestService['call'] = (path, { method = 'GET', headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        { host: '127.0.0.1', port, path, method, headers: { host: 'mayfly.test', ...headers }, agent: false },
        (answer) => {
          const { statusCode: status = 0, headers } = answer;
          text(answer).then((body) => resolve({ status, headers, body }), reject);
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });

  let stopped: Promise<void> | undefined;
  const stop = async ({ drainMs }: { drainMs: number }) => {
    shutdown.abort(new Error('the test is over'));
    stopped ??= server.close({ drainMs });
    await stopped;
    await following;
  };

  return {
    port,
    host,
    store,
    redis,
    call,
    stop,
    api: (token, method, path, body) =>
      call(path, {
        method,
        headers: {
          ...(token && { authorization: `Bearer ${TOKENS[token]}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      }),
    async environment(name, status) {
      const object: Environment = {
        metadata: { namespace: NAMESPACE, name },
        spec: {
          owner: 'token:alice',
          kubernetesVersion: '1.34',
          expiresAt: new Date(Date.now() + hourMs).toISOString(),
        },
        status: { phase: 'Pending', conditions: [], steps: [], ...status },
      };
      const environment = host.put(ENVIRONMENTS, object);
      while (!store.get(name)) await new Promise((resolve) => setImmediate(resolve));
      return environment;
    },
    async [Symbol.asyncDispose]() {
      await stop({ drainMs: 0 });
      await producer.close();
      connection.disconnect();
      await redis.stop();
    },
  };
}

/** A status in which these conditions hold. */
export function statusWith(conditions: readonly ConditionType[], more: Partial<EnvironmentStatus> = {}) {
  const now = new Date().toISOString();
  const set = conditions.reduce<EnvironmentStatus['conditions']>(
    (done, type) => setCondition(done, { type, status: 'True', reason: 'Done', message: '' }, now),
    [],
  );
  const status = { phase: 'Pending' as const, steps: [], conditions: set, ...more };
  return { ...status, phase: phaseOf({ metadata: {}, status }) };
}
