// How fast and at what cost a syncer keeps two clusters alike.
import { setTimeout as delay } from 'node:timers/promises';
import type { Figures } from '../statistics.ts';
import { type ClustersOptions, openClusters } from './clusters.ts';
import { hostRequests } from './host-requests.ts';
import { measureLatency, measurePods, measureSecrets, measureUpdates } from './phases.ts';
import { meterPodOf, sumOfUsages, type Usage, type UsageMeter } from './process-usage.ts';

export interface SyncOptions extends ClustersOptions {
  /** Name of the syncer's container in the host namespace, or of its program when the container runs several. */
  syncer: string;
  idleSeconds: number;
}

const AMOUNTS = { latencyPods: 200, pods: 1_000, secrets: 2_000, configMaps: 500, updates: 10 };

export async function benchSync(options: SyncOptions): Promise<Figures> {
  await using clusters = await openClusters(options);
  const { host, hostNamespace } = clusters;
  const meters = await meterPodOf(host, hostNamespace, options.syncer);
  const meter = meters.get(options.syncer) as UsageMeter;

  const figures: Figures = {};
  const add = (name: string, measured: Figures) => {
    process.stdout.write(`\n${name}\n`);
    for (const [figure, value] of Object.entries(measured)) {
      process.stdout.write(`  ${figure.padEnd(42)}${String(value).padStart(10)}\n`);
    }
    Object.assign(figures, measured);
  };
  const usage = (when: string, { residentMiB, proportionalMiB, anonymousMiB }: Usage): Figures => ({
    [`resident_${when}_mib`]: Math.round(residentMiB),
    [`proportional_${when}_mib`]: Math.round(proportionalMiB),
    [`anonymous_${when}_mib`]: Math.round(anonymousMiB),
  });

  const requestsBefore = await hostRequests(host);
  const [before, podBefore] = await Promise.all([meter.read(), readAll(meters)]);
  const startedMs = performance.now();
  await delay(options.idleSeconds * 1_000);
  const [idle, podIdle] = await Promise.all([meter.read(), readAll(meters)]);
  const seconds = (performance.now() - startedMs) / 1_000;
  const requestsAfter = await hostRequests(host);
  add(`idle for ${options.idleSeconds} s`, {
    ...usage('idle', idle),
    idle_cpu_millicores: Number(((idle.cpuMs - before.cpuMs) / seconds).toFixed(1)),
    idle_pod_cpu_millicores: Number(((podIdle.all.cpuMs - podBefore.all.cpuMs) / seconds).toFixed(1)),
    idle_host_requests_per_s: Number(((requestsAfter.total - requestsBefore.total) / seconds).toFixed(1)),
  });
  add('memory of the whole pod, idle', memoryOf(podIdle));
  add(
    `${AMOUNTS.latencyPods} pods, one at a time`,
    await measureLatency(clusters, { pods: AMOUNTS.latencyPods }),
  );
  const [cpuBefore, podCpuBefore] = await Promise.all([meter.read(), readAll(meters)]);
  add(`${AMOUNTS.pods} pods at once`, await measurePods(clusters, AMOUNTS));
  const [after, podAfter] = await Promise.all([meter.read(), readAll(meters)]);
  add('after them', {
    ...usage('after_pods', after),
    pods_cpu_ms: after.cpuMs - cpuBefore.cpuMs,
    pods_pod_cpu_ms: podAfter.all.cpuMs - podCpuBefore.all.cpuMs,
  });
  add(`${AMOUNTS.secrets} secrets at once`, await measureSecrets(clusters, AMOUNTS));
  add(
    `${AMOUNTS.updates} updates of ${AMOUNTS.configMaps} config maps`,
    await measureUpdates(clusters, AMOUNTS),
  );
  return figures;
}

interface PodUsage {
  parts: ReadonlyMap<string, Usage>;
  all: Usage;
}

async function readAll(meters: ReadonlyMap<string, UsageMeter>): Promise<PodUsage> {
  const readings = [...meters].map(async ([name, meter]) => [name, await meter.read()] as const);
  const parts = new Map(await Promise.all(readings));
  return { parts, all: sumOfUsages([...parts.values()]) };
}

function memoryOf({ parts, all }: PodUsage): Figures {
  const rows = [...parts, ['pod', all] as const].map(([of, usage]) => {
    const prefix = of.replaceAll('-', '_');
    return {
      [`${prefix}_resident_idle_mib`]: Math.round(usage.residentMiB),
      [`${prefix}_anonymous_idle_mib`]: Math.round(usage.anonymousMiB),
    };
  });
  return Object.assign({}, ...rows);
}
