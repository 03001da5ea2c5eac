// Faults of a running test host, for tests: programs of a node that crash, hang or stay away, and links that lose packets.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from './command.ts';
import { connectionsOf } from './connections.ts';
import type { NodePlan } from './instance.ts';
import { netnsPath } from './network.ts';
import { findNodeInit } from './node.ts';

export type UnitName =
  | 'containerd'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-proxy'
  | 'kube-scheduler'
  | 'kubelet'
  | 'network-policy';

const END_TIMEOUT_MS = 10_000;

/** Sends a signal to a unit: STOP and CONT make it hang; after KILL the node starts it again a second later. */
export async function signalUnit(
  node: NodePlan,
  unit: UnitName,
  signal: 'KILL' | 'STOP' | 'CONT',
): Promise<void> {
  await inNode(node, `kill -${signal} "$(cat /run/units/${unit}.pid)"`);
}

/** Ends a unit, as a crash would, and keeps it away until `startUnit`. Without a kubelet, a node's pods run on. */
export async function stopUnit(node: NodePlan, unit: UnitName): Promise<void> {
  const deadlineMs = Date.now() + END_TIMEOUT_MS;
  await inNode(node, `touch /run/units/${unit}.stopped`);
  // It may have been about to start when it was told not to.
  const kill = `cd /run/units; [ ! -e ${unit}.pid ] || { kill -KILL "$(cat ${unit}.pid)"; echo running; }`;
  while ((await inNode(node, kill)) !== '') {
    if (Date.now() > deadlineMs) throw new Error(`${unit} of ${node.name} does not end`);
    await delay(50);
  }
}

export async function startUnit(node: NodePlan, unit: UnitName): Promise<void> {
  await inNode(node, `rm -f /run/units/${unit}.stopped`);
}

/**
 * Drops packets that pass through a node, that it sends or that it gets, until the function returned is called. Nobody is
 * told: established connections hang half open.
 * @param place a node, or a process in a pod for the network of that pod alone.
 * @param match which packets, in the words of nftables, with addresses of pods in place of those of Services: `tcp dport
 * 6443`. Both directions of a connection take two expressions.
 * @param percent how many of them.
 */
export async function dropPackets(
  place: NodePlan | { pid: number },
  match: readonly string[],
  percent = 100,
): Promise<() => Promise<void>> {
  const netns = 'pid' in place ? `/proc/${place.pid}/ns/net` : netnsPath(place.netns);
  const table = `fault_${randomBytes(4).toString('hex')}`;
  const share = percent < 100 ? `numgen random mod 100 < ${percent} ` : '';
  const rules = match.map((expression) => `${expression} ${share}drop`);
  const chains = ['input', 'forward', 'output'].flatMap((hook) => [
    `chain ${hook} {`,
    `type filter hook ${hook} priority filter - 10`,
    ...rules,
    '}',
  ]);
  await nft(netns, [`table ip ${table} {`, ...chains, '}', ''].join('\n'));
  return () => nft(netns, `delete table ip ${table}`);
}

/**
 * Makes the TCP connections that a process of a pod has now, to these ports, hang half open, until the function returned is
 * called; those that it opens later work.
 */
export async function silenceConnections(
  pid: number,
  remotePorts: readonly number[],
): Promise<() => Promise<void>> {
  const connections = (await connectionsOf(pid)).filter(({ remotePort }) => remotePorts.includes(remotePort));
  if (connections.length === 0) throw new Error(`process ${pid} has no connection to ${remotePorts}`);
  const ends = connections.map(
    ({ localPort, remoteAddress, remotePort }) => `${localPort} . ${remoteAddress} . ${remotePort}`,
  );
  return dropPackets({ pid }, [
    `tcp sport . ip daddr . tcp dport { ${ends.join(', ')} }`,
    `tcp dport . ip saddr . tcp sport { ${ends.join(', ')} }`,
  ]);
}

async function nft(netns: string, commands: string): Promise<void> {
  await run('nsenter', [`--net=${netns}`, 'nft', '-f', '-'], { input: commands });
}

async function inNode(node: NodePlan, script: string): Promise<string> {
  const init = await findNodeInit(node);
  if (init === undefined) throw new Error(`node ${node.name} does not run`);
  return run('nsenter', [`--target=${init}`, '--pid', '--mount', 'sh', '-c', script]);
}
