// What a test host could leave on a machine, as a list of facts to compare before and after.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroupHierarchies, subtree } from './cgroups.ts';
import { run } from './command.ts';
import { cacheDir, planInstance } from './instance.ts';

/** Settings of the whole machine that kubelet and kube-proxy like to change, and one that all hosts share. */
const SETTINGS = [
  'fs/inotify/max_user_instances',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'net/ipv4/ip_forward',
  'net/ipv4/conf/all/route_localnet',
  'net/netfilter/nf_conntrack_max',
];

/** Lists links, routes, namespaces, rules, mounts, cgroups, processes, folders and settings, but for those of other hosts. */
export async function machineState(instance: string): Promise<string[]> {
  const facts = await Promise.all([
    network(),
    mounts(),
    cgroups(),
    processes(instance),
    folder('/run/mayfly-host'),
    folder('/run/netns'),
    folder(join(cacheDir(), 'instances')),
    settings(),
  ]);
  return facts
    .flat()
    .filter((fact) => !belongsToAnother(fact, instance))
    .sort();
}

async function network(): Promise<string[]> {
  const [links, routes, rules] = await Promise.all([
    run('ip', ['-json', 'link']),
    run('ip', ['route', 'show', 'table', 'all']),
    run('iptables-save', []),
  ]);
  return [
    ...(JSON.parse(links) as { ifname: string }[]).map(({ ifname }) => `link ${ifname}`),
    ...routes
      .trim()
      .split('\n')
      .map((route) => `route ${route.trim()}`),
    ...rules
      .split('\n')
      .filter((rule) => rule.startsWith('-A'))
      .map((rule) => `rule ${rule}`),
  ];
}

async function mounts(): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => `mount ${line.split(' ')[4]}`);
}

async function cgroups(): Promise<string[]> {
  const found = await Promise.all((await cgroupHierarchies()).map((hierarchy) => subtree(hierarchy)));
  return found.flat().map((path) => `cgroup ${path}`);
}

/** Processes of another mount namespace than ours. */
async function processes(instance: string): Promise<string[]> {
  const own = await readlink('/proc/self/ns/mnt');
  const facts: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own);
    if (namespace === own) continue;
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    if (belongsToAnother(groups, instance)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command !== '') facts.push(`process ${pid} ${command.replaceAll('\0', ' ').slice(0, 100)}`);
  }
  return facts;
}

async function folder(path: string): Promise<string[]> {
  const names = await readdir(path).catch(() => undefined);
  return names ? [path, ...names.map((name) => join(path, name))].map((entry) => `file ${entry}`) : [];
}

function settings(): Promise<string[]> {
  return Promise.all(
    SETTINGS.map(async (name) => {
      const value = await readFile(`/proc/sys/${name}`, 'utf8').catch(() => 'absent');
      return `setting ${name} ${value.trim()}`;
    }),
  );
}

/** By the name of a host in paths and of its link to the machine. */
function belongsToAnother(fact: string, instance: string): boolean {
  const [, path, netns, link] =
    fact.match(/\/(?:mayfly-host|instances)\/([^/\n]+)|\/netns\/(\S+)-(?:fabric|node-\d+)|\b(mayfly\d+)\b/) ??
    [];
  const host = path ?? netns;
  return (
    (host !== undefined && host !== instance) ||
    (link !== undefined && link !== planInstance(instance, 1).uplink)
  );
}
