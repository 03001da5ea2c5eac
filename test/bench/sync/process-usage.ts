// Memory and processor time of a container's processes, from /proc of this machine, where the test host's containers run.
import { readFile } from 'node:fs/promises';
import { PODS } from '../../../src/kube/resource.ts';
import type { Pod } from '../../../src/syncer/objects.ts';
import { containerProcesses } from '../../host/containers.ts';
import type { ClusterAccess } from '../../support/cluster.ts';

export interface Usage {
  residentMiB: number;
  /** Shared pages count for each process by its share. */
  proportionalMiB: number;
  anonymousMiB: number;
  cpuMs: number;
}

/** The kernel's USER_HZ, which is 100 on every platform that Linux has today. */
const TICK_MS = 10;

export interface UsageMeter {
  read(): Promise<Usage>;
}

/**
 * Meters of the containers of one pod by their names.
 * @param container name of one of them, by which the pod is found.
 * @throws Error when it is not found on this machine.
 */
export async function meterPodOf(
  { client }: ClusterAccess,
  namespace: string,
  container: string,
): Promise<ReadonlyMap<string, UsageMeter>> {
  const { items } = await client.list<Pod>(PODS, { namespace, signal: AbortSignal.timeout(30_000) });
  const pods = items.map(({ status }) => status?.containerStatuses ?? []);
  const containers = pods.find((statuses) => statuses.some(({ name }) => name === container));
  if (!containers) throw new Error(`no container ${container} runs in ${namespace}`);
  return new Map(
    await Promise.all(
      containers.map(
        async ({ name, containerID = '' }) => [name, await meterContainer(name, containerID)] as const,
      ),
    ),
  );
}

async function meterContainer(name: string, id: string): Promise<UsageMeter> {
  const pids = await containerProcesses(id);
  if (pids.length === 0) throw new Error(`container ${name} does not run on this machine`);
  return { read: async () => (await Promise.all(pids.map(usageOf))).reduce(sumOf) };
}

function sumOf(one: Usage, other: Usage): Usage {
  return {
    residentMiB: one.residentMiB + other.residentMiB,
    proportionalMiB: one.proportionalMiB + other.proportionalMiB,
    anonymousMiB: one.anonymousMiB + other.anonymousMiB,
    cpuMs: one.cpuMs + other.cpuMs,
  };
}

async function usageOf(pid: number): Promise<Usage> {
  const [rollup, status] = await Promise.all(
    ['smaps_rollup', 'status'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
  );
  const mebibytes = (text: string | undefined, field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text ?? '')?.[1] ?? 0) / 1024;
  return {
    residentMiB: mebibytes(rollup, 'Rss'),
    proportionalMiB: mebibytes(rollup, 'Pss'),
    anonymousMiB: mebibytes(status, 'RssAnon'),
    cpuMs: await cpuMsOf(pid),
  };
}

/** User and system time of all threads, ended ones included (proc_pid_stat(5), fields 14 and 15). */
async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
