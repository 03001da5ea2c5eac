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

/** By the container's name, in the pods of a namespace. @throws Error when it is not found on this machine. */
export async function meterContainer(
  { client }: ClusterAccess,
  namespace: string,
  container: string,
): Promise<UsageMeter> {
  const { items } = await client.list<Pod>(PODS, { namespace, signal: AbortSignal.timeout(30_000) });
  const statuses = items.flatMap(({ status }) => status?.containerStatuses ?? []);
  const id = statuses.find(({ name }) => name === container)?.containerID;
  if (!id) throw new Error(`no container ${container} runs in ${namespace}`);
  const pids = await containerProcesses(id);
  if (pids.length === 0) throw new Error(`container ${container} does not run on this machine`);
  return {
    async read() {
      const usages = await Promise.all(pids.map(usageOf));
      return usages.reduce((sum, usage) => ({
        residentMiB: sum.residentMiB + usage.residentMiB,
        proportionalMiB: sum.proportionalMiB + usage.proportionalMiB,
        anonymousMiB: sum.anonymousMiB + usage.anonymousMiB,
        cpuMs: sum.cpuMs + usage.cpuMs,
      }));
    },
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
