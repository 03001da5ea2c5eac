// Memory and processor time of a pod's processes, from /proc of this machine, where the test host's containers run.
import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { PODS } from '../../../src/kube/resource.ts';
import type { ContainerStatus, Pod } from '../../../src/syncer/objects.ts';
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
 * Meters of all that runs in the pod of a syncer, by name: of containers, or of the programs of a container that runs several.
 * @param syncer one of these names, by which the pod is found.
 * @throws Error when it is not found on this machine.
 */
export async function meterPodOf(
  { client }: ClusterAccess,
  namespace: string,
  syncer: string,
): Promise<ReadonlyMap<string, UsageMeter>> {
  const { items } = await client.list<Pod>(PODS, { namespace, signal: AbortSignal.timeout(30_000) });
  for (const { status } of items) {
    const parts = await Promise.all((status?.containerStatuses ?? []).map(partsOf));
    const all = parts.flatMap((found) => [...found]);
    if (all.some(([name]) => name === syncer)) {
      return new Map(all.map(([name, pids]) => [name, meterOf(pids)]));
    }
  }
  throw new Error(`neither a container nor a program ${syncer} runs in ${namespace} on this machine`);
}

async function partsOf({ name, containerID }: ContainerStatus): Promise<Parts> {
  if (containerID === undefined) return new Map();
  const pids = await containerProcesses(containerID);
  const processes = pids.map(async (pid) => ({
    pid,
    program: basename(await readlink(`/proc/${pid}/exe`)),
  }));
  return partsOfContainer(name, await Promise.all(processes));
}

type Parts = ReadonlyMap<string, readonly number[]>;

/** Ids of processes, under the container's name, or under those of its programs when it runs several. */
export function partsOfContainer(
  container: string,
  processes: readonly { pid: number; program: string }[],
): Parts {
  const programs = Map.groupBy(processes, ({ program }) => program);
  const parts = programs.size > 1 ? programs : Map.groupBy(processes, () => container);
  return new Map([...parts].map(([name, members]) => [name, members.map(({ pid }) => pid)]));
}

function meterOf(pids: readonly number[]): UsageMeter {
  return { read: async () => sumOfUsages(await Promise.all(pids.map(usageOf))) };
}

export function sumOfUsages(usages: readonly Usage[]): Usage {
  return usages.reduce(sumOf);
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
