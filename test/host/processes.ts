// Processes of a test host, found by what they are members of and not by remembered ids: no crash hides
// one, and no recycled id is ever taken for one.
import { readdir, readlink, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupProcesses } from './cgroups.ts';
import type { Instance } from './instance.ts';
import { netnsPath } from './network.ts';

const KILL_TIMEOUT_MS = 30_000;

/** Ids of all processes in the instance's cgroups or network namespaces. */
async function instanceProcesses(instance: Instance, netnsNames: readonly string[]): Promise<number[]> {
  const pids = new Set(await cgroupProcesses(instance.cgroup));
  const inodes = new Set<string>();
  for (const name of netnsNames) {
    const inode = await stat(netnsPath(name)).then(
      ({ ino }) => `net:[${ino}]`,
      () => undefined,
    );
    if (inode) inodes.add(inode);
  }
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const namespace = await readlink(`/proc/${entry}/ns/net`).catch(() => '');
    if (inodes.has(namespace)) pids.add(Number(entry));
  }
  pids.delete(process.pid);
  return [...pids];
}

/**
 * Kills the instance's processes until none is left. A node's first process takes its whole PID namespace,
 * containers included, with it.
 */
export async function killInstanceProcesses(
  instance: Instance,
  netnsNames: readonly string[],
): Promise<number> {
  const deadlineMs = Date.now() + KILL_TIMEOUT_MS;
  const killed = new Set<number>();
  for (;;) {
    const pids = await instanceProcesses(instance, netnsNames);
    if (pids.length === 0) return killed.size;
    if (Date.now() > deadlineMs) throw new Error(`processes that do not end: ${pids.join(' ')}`);
    for (const pid of pids) {
      killed.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    await delay(50);
  }
}
