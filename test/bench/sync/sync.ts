// How fast and at what cost a syncer keeps two clusters alike.
import { setTimeout as delay } from 'node:timers/promises';
import type { Figures } from '../statistics.ts';
import { type ClustersOptions, openClusters } from './clusters.ts';
import { hostRequests } from './host-requests.ts';
import { measureLatency, measurePods, measureSecrets, measureUpdates } from './phases.ts';
import { meterPodOf, type Usage, type UsageMeter } from './process-usage.ts';

export interface SyncOptions extends ClustersOptions {
  /** Name of the syncer's container in the host namespace. */
  container: string;
  idleSeconds: number;
}

const AMOUNTS = { latencyPods: 200, pods: 1_000, secrets: 2_000, configMaps: 500, updates: 10 };

export async function benchSync(options: SyncOptions): Promise<Figures> {
  await using clusters = await openClusters(options);
  const { host, hostNamespace } = clusters;
  const meters = await meterPodOf(host, hostNamespace, options.container);
  const meter = meters.get(options.container) as UsageMeter;

  const figures: Figures = {};
  const add = (name: string, measured: Figures) => {
    process.stdout.write(`\n${name}\n`);
    for (const [figure, value] of Object.entries(measured)) {
      process.stdout.write(`  ${figure.padEnd(32)}${String(value).padStart(10)}\n`);
    }
    Object.assign(figures, measured);
  };
  const usage = (when: string, { residentMiB, proportionalMiB, anonymousMiB }: Usage): Figures => ({
    [`resident_${when}_mib`]: Math.round(residentMiB),
    [`proportional_${when}_mib`]: Math.round(proportionalMiB),
    [`anonymous_${when}_mib`]: Math.round(anonymousMiB),
  });

  const requestsBefore = await hostRequests(host);
  const before = await meter.read();
  const startedMs = performance.now();
  await delay(options.idleSeconds * 1_000);
  const idle = await meter.read();
  const seconds = (performance.now() - startedMs) / 1_000;
  const requestsAfter = await hostRequests(host);
  add(`idle for ${options.idleSeconds} s`, {
    ...usage('idle', idle),
    idle_cpu_millicores: Number(((idle.cpuMs - before.cpuMs) / seconds).toFixed(1)),
    idle_host_requests_per_s: Number(((requestsAfter.total - requestsBefore.total) / seconds).toFixed(1)),
  });
  add('anonymous memory of the whole pod, idle', await anonymousMemoryOf(meters));
  add(
    `${AMOUNTS.latencyPods} pods, one at a time`,
    await measureLatency(clusters, { pods: AMOUNTS.latencyPods }),
  );
  const cpuBefore = (await meter.read()).cpuMs;
  add(`${AMOUNTS.pods} pods at once`, await measurePods(clusters, AMOUNTS));
  const after = await meter.read();
  add('after them', { ...usage('after_pods', after), pods_cpu_ms: after.cpuMs - cpuBefore });
  add(`${AMOUNTS.secrets} secrets at once`, await measureSecrets(clusters, AMOUNTS));
  add(
    `${AMOUNTS.updates} updates of ${AMOUNTS.configMaps} config maps`,
    await measureUpdates(clusters, AMOUNTS),
  );
  return figures;
}

async function anonymousMemoryOf(meters: ReadonlyMap<string, UsageMeter>): Promise<Figures> {
  const usages = await Promise.all(
    [...meters].map(async ([container, meter]) => [container, (await meter.read()).anonymousMiB] as const),
  );
  const sum = usages.reduce((total, [, mebibytes]) => total + mebibytes, 0);
  const figures = [...usages, ['pod', sum] as const];
  return Object.fromEntries(
    figures.map(([of, mebibytes]) => [
      `${of.replaceAll('-', '_')}_anonymous_idle_mib`,
      Math.round(mebibytes),
    ]),
  );
}
