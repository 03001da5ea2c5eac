// How long until a cold environment is of use: from the accepted POST to each mark, by one monotonic clock.
import { setTimeout as delay } from 'node:timers/promises';
import { ENVIRONMENTS } from '../../src/environments/resource.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { connectionFromKubeconfig } from '../../src/kube/kubeconfig.ts';
import {
  type KubeObject,
  NAMESPACES,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { type InstalledMayfly, installMayfly } from '../support/installed-mayfly.ts';
import { admitMachine } from '../support/network-access.ts';
import { type Figures, summaryOf } from './statistics.ts';

/** In the order in which they are printed. `usable` is the last of kubeconfig, default ServiceAccount and webhook. */
const MARKS = [
  'namespace',
  'api_live',
  'kubeconfig',
  'readyz',
  'default_service_account',
  'webhook',
  'usable',
  'pod_running',
] as const;
type Mark = (typeof MARKS)[number];
type Timings = Record<Mark, number>;

const COLUMNS = ['min', 'p50', 'p95', 'max'] as const;

const POLL_MS = 10;
const RUN_TIMEOUT_MS = 120_000;
/** A connection begun just before the API server listens may never be answered; the next one is. */
const PROBE_TIMEOUT_MS = 1_000;
const MUTATING_WEBHOOKS: ResourceType = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
  namespaced: false,
};

export async function benchReady({ runs }: { runs: number }): Promise<Figures> {
  await using mayfly = await installMayfly({ name: 'mayfly-bench' });
  const timings: Timings[] = [];
  // The first run warms the node's caches and the service; it is printed and not counted.
  for (let run = 0; run <= runs; run++) {
    const measured = await measure(mayfly, `bench-${run}`);
    if (run > 0) timings.push(measured);
    const line = MARKS.map((mark) => `${mark} ${Math.round(measured[mark])}`).join('  ');
    process.stdout.write(`run ${run}${run === 0 ? ' (warm-up)' : ''}: ${line} ms\n`);
  }
  return report(timings);
}

async function measure(mayfly: InstalledMayfly, name: string): Promise<Timings> {
  const signal = AbortSignal.timeout(RUN_TIMEOUT_MS);
  const answer = await mayfly.api('POST', '/v1/environments', { name });
  if (answer.status !== 201) throw new Error(`POST answers ${answer.status}: ${answer.body}`);
  const startedMs = performance.now();
  const reached = async (condition: () => Promise<unknown>): Promise<number> => {
    await poll(condition, signal);
    return performance.now() - startedMs;
  };
  const host = mayfly.cluster.client;

  const hostNamespace = await poll(
    async () => (await mayfly.environment(name))?.status?.host?.namespace,
    signal,
  );
  const namespace = await reached(() => host.get(NAMESPACES, { name: hostNamespace }, { signal }));
  await admitMachine(host, hostNamespace, signal);
  const inside = await insideClient(host, { namespace: hostNamespace, name }, signal);
  const probe = { signal, timeoutMs: PROBE_TIMEOUT_MS };
  const [apiLive, readyz, kubeconfig, serviceAccount, webhook] = await Promise.all([
    reached(() => inside.text('/version', probe)),
    reached(() => inside.text('/readyz', probe)),
    reached(
      async () =>
        (await mayfly.api('GET', `/v1/environments/${name}/kubeconfig`)).status === 200 || undefined,
    ),
    reached(() => inside.get(SERVICE_ACCOUNTS, { namespace: 'default', name: 'default' }, probe)),
    reached(async () => {
      const { items } = await inside.list(MUTATING_WEBHOOKS, probe);
      return items.length > 0 ? items : undefined;
    }),
  ]);
  await inside.create(PODS, pausePod, { signal });
  const podRunning = await reached(async () => {
    const pod = await inside.get<KubeObject & { status?: { phase?: string } }>(
      PODS,
      { namespace: 'default', name: 'first' },
      { signal },
    );
    return pod.status?.phase === 'Running' ? pod : undefined;
  });
  await inside.close();
  await remove(mayfly, name, signal);
  return {
    namespace,
    api_live: apiLive,
    kubeconfig,
    readyz,
    default_service_account: serviceAccount,
    webhook,
    usable: Math.max(kubeconfig, serviceAccount, webhook),
    pod_running: podRunning,
  };
}

const pausePod = {
  metadata: { namespace: 'default', name: 'first' },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'pause', image: 'registry.k8s.io/pause:3.10', imagePullPolicy: 'IfNotPresent' }],
  },
};

/** As the administrator of the virtual cluster, past the service: what is measured is the cluster. */
async function insideClient(
  host: KubeClient,
  { namespace, name }: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<KubeClient> {
  const secret = await poll(
    () =>
      host.get<KubeObject & { data: { config: string } }>(
        SECRETS,
        { namespace, name: `${name}-kubeconfig` },
        { signal },
      ),
    signal,
  );
  const service = await host.get<KubeObject & { spec: { clusterIP: string } }>(
    SERVICES,
    { namespace, name },
    { signal },
  );
  const connection = connectionFromKubeconfig(Buffer.from(secret.data.config, 'base64').toString());
  const server = `https://${service.spec.clusterIP}:443`;
  return createKubeClient(createTransport({ ...connection, server }, { process: 'bench' }));
}

async function remove(mayfly: InstalledMayfly, name: string, signal: AbortSignal): Promise<void> {
  const key = { namespace: mayfly.namespace, name };
  await mayfly.cluster.client.delete(ENVIRONMENTS, key, { signal });
  await poll(async () => ((await mayfly.environment(name)) === undefined ? true : undefined), signal);
}

/** Until the condition neither throws nor is undefined. */
async function poll<T>(condition: () => Promise<T | undefined>, signal: AbortSignal): Promise<T> {
  for (;;) {
    const result = await condition().catch(() => undefined);
    if (result !== undefined) return result;
    await delay(POLL_MS, undefined, { signal });
  }
}

function report(timings: readonly Timings[]): Figures {
  const figures: Figures = { runs: timings.length };
  process.stdout.write(`\nfrom the accepted POST, ${timings.length} runs, in ms\n`);
  process.stdout.write(`${'mark'.padEnd(26)}${COLUMNS.map((head) => head.padStart(8)).join('')}\n`);
  for (const mark of MARKS) {
    const summary = summaryOf(timings.map((timing) => timing[mark]));
    const cells = COLUMNS.map((column) => String(Math.round(summary[column])).padStart(8));
    process.stdout.write(`${mark.padEnd(26)}${cells.join('')}\n`);
    for (const column of COLUMNS) figures[`${mark}_${column}_ms`] = Math.round(summary[column]);
  }
  return figures;
}
