// Kills a container of the test host as the kernel would: at once, from outside, with nothing said to it.
import { readdir, readFile } from 'node:fs/promises';

/** Kills every process of a container, by its id as in a pod's status (`containerd://<id>`). @throws Error when it has none. */
export async function killContainer(containerId: string): Promise<void> {
  const id = containerId.replace(/^containerd:\/\//, '');
  if (!/^[0-9a-f]{64}$/.test(id)) throw new Error(`not a container id: ${containerId}`);
  const pids = await processesOf(id);
  if (pids.length === 0) throw new Error(`container ${id} has no process on this machine`);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // The first one takes the others with it.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** A container's control group is named after it. */
async function processesOf(id: string): Promise<number[]> {
  const entries = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const groups = await Promise.all(
    entries.map(async (entry) => ({
      pid: Number(entry),
      group: await readFile(`/proc/${entry}/cgroup`, 'utf8').catch(() => ''),
    })),
  );
  return groups.filter(({ group }) => group.includes(`/${id}`)).map(({ pid }) => pid);
}
