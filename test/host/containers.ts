// Containers of the test host as the machine sees them: their processes, and their end.
import { readdir, readFile } from 'node:fs/promises';

/** Ids of a container's processes; the container's id is as in a pod's status (`containerd://<id>`). */
export async function containerProcesses(containerId: string): Promise<number[]> {
  const id = containerId.replace(/^containerd:\/\//, '');
  if (!/^[0-9a-f]{64}$/.test(id)) throw new Error(`not a container id: ${containerId}`);
  const entries = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const groups = await Promise.all(
    entries.map(async (entry) => ({
      pid: Number(entry),
      group: await readFile(`/proc/${entry}/cgroup`, 'utf8').catch(() => ''),
    })),
  );
  // A container's control group is named after it.
  return groups.filter(({ group }) => group.includes(`/${id}`)).map(({ pid }) => pid);
}

/** Kills a container as the kernel would: at once, with nothing said to it. @throws Error when it has no process. */
export async function killContainer(containerId: string): Promise<void> {
  const pids = await containerProcesses(containerId);
  if (pids.length === 0) throw new Error(`container ${containerId} has no process on this machine`);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // The first one takes the others with it.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
