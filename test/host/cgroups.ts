// Control groups of a test host: one subtree per instance in every hierarchy of the machine, version 1 or 2.
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const REMOVE_TIMEOUT_MS = 10_000;

/** Mount points of the machine's hierarchies. */
export async function cgroupHierarchies(): Promise<string[]> {
  return parseHierarchies(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** Each hierarchy's mount point, out of a mountinfo file (proc_pid_mountinfo(5)). */
export function parseHierarchies(mountInfo: string): string[] {
  return mountInfo.split('\n').flatMap((line) => {
    const [mount, filesystem] = line.split(' - ');
    const point = mount?.split(' ')[4];
    return point !== undefined && /^cgroup2? /.test(filesystem ?? '') ? [point] : [];
  });
}

/** Makes a cgroup in every hierarchy and returns its folders. */
export async function createCgroup(path: string): Promise<string[]> {
  const folders: string[] = [];
  for (const hierarchy of await cgroupHierarchies()) {
    let folder = hierarchy;
    for (const part of path.split('/').filter(Boolean)) {
      await delegateControllers(folder);
      const parent = folder;
      folder = join(folder, part);
      await mkdir(folder, { recursive: true });
      await inheritCpuset(parent, folder);
    }
    folders.push(folder);
  }
  return folders;
}

/** Ids of the processes in a cgroup and below it. */
export async function cgroupProcesses(path: string): Promise<number[]> {
  const pids = new Set<number>();
  for (const hierarchy of await cgroupHierarchies()) {
    for (const folder of await subtree(join(hierarchy, path))) {
      const listed = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const pid of listed.split('\n').filter(Boolean)) pids.add(Number(pid));
    }
  }
  // A process outside this PID namespace shows as 0.
  pids.delete(0);
  return [...pids];
}

/** Removes a cgroup without processes, everything below it, and its parent when that is empty, from every hierarchy. */
export async function removeCgroup(path: string): Promise<void> {
  const deadlineMs = Date.now() + REMOVE_TIMEOUT_MS;
  for (const hierarchy of await cgroupHierarchies()) {
    for (const folder of (await subtree(join(hierarchy, path))).reverse()) {
      await removeFolder(folder, deadlineMs);
    }
    await rmdir(dirname(join(hierarchy, path))).catch(ignoreInUse);
  }
}

/** Folders of a subtree, parents first; none when it does not exist. */
export async function subtree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (!entries) return [];
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => subtree(join(folder, entry.name))),
  );
  return [folder, ...below.flat()];
}

/** The kernel takes a moment to let go of a group whose last process has just ended. */
async function removeFolder(folder: string, deadlineMs: number): Promise<void> {
  for (;;) {
    try {
      return await rmdir(folder);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || Date.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

/** Version 2: a group's controllers reach its children only when it says so. */
async function delegateControllers(folder: string): Promise<void> {
  const controllers = await readFile(join(folder, 'cgroup.controllers'), 'utf8').catch(() => '');
  for (const controller of controllers.trim().split(/\s+/).filter(Boolean)) {
    await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`);
  }
}

/** Version 1: a cpuset without CPUs and memory nodes takes no process. */
async function inheritCpuset(parent: string, folder: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = await readFile(join(folder, file), 'utf8').catch(() => undefined);
    if (own?.trim() !== '') continue;
    await writeFile(join(folder, file), await readFile(join(parent, file), 'utf8')).catch(() => undefined);
  }
}

function ignoreInUse(error: NodeJS.ErrnoException): void {
  if (!['EBUSY', 'ENOENT', 'ENOTEMPTY'].includes(error.code ?? '')) throw error;
}
