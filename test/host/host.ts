// The life of a test host: up, down and what it looks like in between.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { addonManifests } from './addons.ts';
import { type Binaries, buildBinaries, componentPath } from './binaries.ts';
import { removeCgroup } from './cgroups.ts';
import { createCredentials } from './credentials.ts';
import { buildImages } from './images.ts';
import { cacheDir, type Instance, planInstance } from './instance.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';
import { createNetwork, listNetns, removeNetwork } from './network.ts';
import { findNodeInit, nodeEtc, nodeLogs, prepareNode, startNode } from './node.ts';
import { installPackages } from './packages.ts';
import { killInstanceProcesses } from './processes.ts';
import type { Progress } from './progress.ts';
import { buildSeed } from './seed.ts';
import { readState, removeState, type State, writeState } from './state.ts';
import { unitsOf } from './units.ts';

export interface UpOptions {
  readonly name: string;
  readonly nodeCount: number;
  /** Keep an audit log of every request to the API server, without bodies. */
  readonly audit: boolean;
}

const API_TIMEOUT_MS = 60_000;
const ADDON_TIMEOUT = '90s';

/** Brings a host up, building what is missing. Does nothing when it is up and healthy. */
export async function up(options: UpOptions, progress: Progress): Promise<Instance> {
  const cache = cacheDir();
  const instance = planInstance(options.name, options.nodeCount);
  await installPackages(progress);
  const binaries = await buildBinaries(cache, progress);
  const seed = await buildSeed(await buildImages(binaries, cache, progress), cache, progress);
  const kubectl = createKubectl(componentPath(binaries, 'kubectl'), instance.kubeconfig);
  const wanted: State = { nodeCount: options.nodeCount, audit: options.audit };
  if (await isHealthy(instance, wanted, kubectl)) {
    progress.step('already up');
    return instance;
  }
  await down(options.name);
  progress.step(`starting ${instance.nodes.length} node(s)`);
  try {
    await start(instance, options, binaries, seed);
    await waitUntilReady(instance, kubectl, progress);
  } catch (error) {
    progress.step(`failed; logs are in ${instance.nodes.map(nodeLogs).join(', ')}`);
    throw error;
  }
  await writeState(instance, wanted);
  return instance;
}

/** Ends a host, whatever state it is in, and removes everything that it made outside the cache. */
export async function down(name: string): Promise<void> {
  const instance = planInstance(name, 1);
  await removeState(instance);
  await killInstanceProcesses(instance, await listNetns(instance));
  await removeNetwork(instance);
  await removeCgroup(instance.cgroup);
  await rm(instance.diskDir, { recursive: true, force: true });
  await rm(instance.stateDir, { recursive: true, force: true });
}

async function start(
  instance: Instance,
  options: UpOptions,
  binaries: Binaries,
  seed: string,
): Promise<void> {
  await mkdir(instance.stateDir, { recursive: true });
  const credentials = await createCredentials(instance, new Date());
  await createNetwork(instance);
  for (const node of instance.nodes) {
    const units = unitsOf({ instance, node, binaries, etc: nodeEtc(node), audit: options.audit });
    await prepareNode(node, units, credentials.filesOf(node), seed);
    await startNode(node);
  }
  await writeFile(instance.kubeconfig, credentials.admin, { mode: 0o600 });
}

async function waitUntilReady(instance: Instance, kubectl: Kubectl, progress: Progress): Promise<void> {
  await kubectl.retry(['get', '--raw', '/readyz'], API_TIMEOUT_MS);
  progress.step('API server ready');
  await kubectl.retry(['apply', '-f', '-'], API_TIMEOUT_MS, addonManifests(instance));
  for (const node of instance.nodes) {
    await kubectl.retry(
      ['wait', '--for=condition=Ready', `node/${node.name}`, '--timeout=60s'],
      API_TIMEOUT_MS,
    );
  }
  progress.step('nodes ready');
  await kubectl.run([
    '-n',
    'kube-system',
    'rollout',
    'status',
    'deployment/coredns',
    `--timeout=${ADDON_TIMEOUT}`,
  ]);
  await kubectl.run([
    ...['-n', 'local-path-storage', 'rollout', 'status', 'deployment/local-path-provisioner'],
    `--timeout=${ADDON_TIMEOUT}`,
  ]);
  progress.step('cluster DNS and storage ready');
}

async function isHealthy(instance: Instance, wanted: State, kubectl: Kubectl): Promise<boolean> {
  const state = await readState(instance.name);
  if (state?.nodeCount !== wanted.nodeCount || state.audit !== wanted.audit) return false;
  for (const node of instance.nodes) {
    if ((await findNodeInit(node)) === undefined) return false;
  }
  const ready = await kubectl.attempt([
    ...['wait', '--for=condition=Ready', 'node', '--all', '--timeout=5s', '--request-timeout=5s'],
  ]);
  return ready.code === 0;
}
