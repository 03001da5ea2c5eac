// One node: its folders, configuration and first process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupProcesses, createCgroup } from './cgroups.ts';
import type { NodePlan } from './instance.ts';
import { netnsPath } from './network.ts';
import { withSystemPath } from './packages.ts';
import { copySeed } from './seed.ts';
import type { Unit } from './units.ts';

const INIT_SCRIPT = join(import.meta.dirname, 'node-init.sh');
const START_TIMEOUT_MS = 10_000;

export function nodeEtc(node: NodePlan): string {
  return join(node.dir, 'etc');
}

export function nodeLogs(node: NodePlan): string {
  return join(node.dir, 'var/log');
}

/** Lays out a node's folders and files. */
export async function prepareNode(
  node: NodePlan,
  units: readonly Unit[],
  certificates: Readonly<Record<string, string>>,
  seed: string,
): Promise<void> {
  for (const folder of ['etc/cni', 'units', 'var/lib', 'var/log', 'opt']) {
    await mkdir(join(node.dir, folder), { recursive: true });
  }
  await copySeed(seed, join(node.dir, 'var/lib/containerd'));
  const files = Object.assign({}, certificates, ...units.map((unit) => unit.files ?? {})) as Record<
    string,
    string
  >;
  for (const [name, content] of Object.entries(files)) {
    const path = join(nodeEtc(node), name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { mode: 0o600 });
  }
  const programs = units.flatMap((unit) => [
    ...Object.entries(unit.programs ?? {}),
    [join('units', unit.name), unitScript(unit)] as const,
  ]);
  for (const [name, content] of programs) {
    const path = join(node.dir, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    await chmod(path, 0o755);
  }
}

/** Starts a prepared node. It outlives this process. */
export async function startNode(node: NodePlan): Promise<void> {
  const cgroups = await createCgroup(`${node.cgroup}/daemons`);
  const log = await open(join(nodeLogs(node), 'init.log'), 'a');
  try {
    const child = spawn('bash', ['-c', launchScript(cgroups, node)], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: withSystemPath({ HOME: '/root', PATH: process.env.PATH }),
      cwd: '/',
    });
    await once(child, 'spawn');
    child.unref();
  } finally {
    await log.close();
  }
  await nodeInitPid(node, START_TIMEOUT_MS);
}

/** Process id, as the machine sees it, of a node's first process; undefined when the node does not run. */
export async function findNodeInit(node: NodePlan): Promise<number | undefined> {
  for (const pid of await cgroupProcesses(`${node.cgroup}/daemons`)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (/^NSpid:\s+\d+\s+1$/m.test(status)) return pid;
  }
  return undefined;
}

/** Address of a node's containerd, reachable from the machine. */
export async function containerdSocket(node: NodePlan): Promise<string> {
  return `/proc/${await nodeInitPid(node, 0)}/root/run/containerd/containerd.sock`;
}

/** Every link of the chain is replaced by exec, so that killing the node's first process ends it all. */
function launchScript(cgroups: readonly string[], node: NodePlan): string {
  const enter = cgroups.map((folder) => `echo $$ >${quote(`${folder}/cgroup.procs`)}`);
  const namespaces = '--fork --kill-child --pid --mount --uts --ipc --mount-proc --propagation=private';
  const init = ['bash', INIT_SCRIPT, node.dir, node.name, join(node.dir, 'units')].map(quote).join(' ');
  return [
    'set -e',
    ...enter,
    `exec nsenter --net=${quote(netnsPath(node.netns))} unshare ${namespaces} ${init}`,
  ].join('\n');
}

function unitScript(unit: Unit): string {
  const wait = unit.waitFor ? [`while [ ! -e ${quote(unit.waitFor)} ]; do sleep 0.1; done`] : [];
  return ['#!/bin/sh', ...wait, `exec ${unit.command.map(quote).join(' ')}`, ''].join('\n');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function nodeInitPid(node: NodePlan, timeoutMs: number): Promise<number> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const pid = await findNodeInit(node);
    if (pid !== undefined) return pid;
    if (Date.now() >= deadlineMs) throw new Error(`node ${node.name} does not run`);
    await delay(50);
  }
}
