// The life of a test host: up and down.
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { addonManifests } from './addons.ts';
import { type Binaries, buildBinaries, componentPath } from './binaries.ts';
import { contentKey } from './cache.ts';
import { removeCgroup } from './cgroups.ts';
import { createCredentials } from './credentials.ts';
import { buildImages } from './images.ts';
import { cacheDir, type Family, type Instance, planInstance } from './instance.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';
import { raiseLimits, restoreLimits } from './limits.ts';
import { withLock } from './lock.ts';
import { createNetwork, listNetns, removeNetwork } from './network.ts';
import { buildEnforcer, type EnforcerProgram } from './network-policy/program.ts';
import { findNodeInit, nodeEtc, nodeLogs, prepareNode, startNode } from './node.ts';
import { installPackages } from './packages.ts';
import { killInstanceProcesses } from './processes.ts';
import type { Progress } from './progress.ts';
import { buildSeed } from './seed.ts';
import { readState, removeState, type State, writeState } from './state.ts';
import { type Unit, unitsOf } from './units.ts';

export interface UpOptions {
  readonly name: string;
  readonly nodeCount: number;
  /** Of nodes, pods and Services, the first one first. Absent: IPv4. */
  readonly families?: readonly Family[];
  /** Keep an audit log of every request to the API server, without bodies. */
  readonly audit: boolean;
  /** How long a node may be silent before it is NotReady. Absent: Kubernetes' own default. */
  readonly nodeGraceSeconds?: number;
}

/** What an instance is started from. */
interface Parts {
  readonly instance: Instance;
  readonly seed: string;
  readonly units: ReadonlyMap<string, readonly Unit[]>;
  readonly manifests: string;
}

/** Long enough for another run that builds everything. */
const LOCK_TIMEOUT_MS = 45 * 60_000;
const API_TIMEOUT_MS = 60_000;
const NODE_TIMEOUT_MS = 60_000;
const ADDON_TIMEOUT = '90s';

/** Brings a host up, building what is missing. Does nothing when it is up, healthy and made of the same parts. */
export async function up(options: UpOptions, progress: Progress): Promise<void> {
  const instance = planInstance(options.name, options.nodeCount, { families: options.families });
  await withLock(options.name, LOCK_TIMEOUT_MS, async () => {
    await installPackages(progress);
    const cache = cacheDir();
    const binaries = await buildBinaries(cache, progress);
    const seed = await buildSeed(await buildImages(binaries, cache, progress), cache, progress);
    const parts = {
      instance,
      seed,
      units: planUnits(instance, binaries, await buildEnforcer(cache), options),
      manifests: addonManifests(instance),
    };
    const kubectl = createKubectl(componentPath(binaries, 'kubectl'), instance.kubeconfig);
    const { families } = instance;
    const wanted = { nodeCount: options.nodeCount, families, version: versionOf(parts) };
    if (await isHealthy(instance, wanted, kubectl)) {
      progress.step('already up');
      return;
    }
    await remove(options.name);
    progress.step(
      instance.nodes.length === 1 ? 'starting a node' : `starting ${instance.nodes.length} nodes`,
    );
    try {
      await start(parts);
      await waitUntilReady(parts, kubectl, progress);
    } catch (error) {
      progress.step(`failed; the logs are in ${instance.nodes.map(nodeLogs).join(', ')}`);
      throw error;
    }
    await writeState(instance, wanted);
  });
}

/** Ends a host, whatever state it is in, and removes everything that it made outside the cache. */
export async function down(name: string): Promise<void> {
  await withLock(name, LOCK_TIMEOUT_MS, () => remove(name));
}

async function remove(name: string): Promise<void> {
  const instance = planInstance(name, 1);
  await removeState(instance);
  await killInstanceProcesses(instance, await listNetns(instance));
  await removeNetwork(instance);
  await removeCgroup(instance.cgroup);
  for (const folder of [instance.diskDir, instance.stateDir]) {
    await rm(folder, { recursive: true, force: true });
    await removeIfEmpty(dirname(folder));
  }
  await restoreLimits();
}

function planUnits(
  instance: Instance,
  binaries: Binaries,
  enforcer: EnforcerProgram,
  { audit, nodeGraceSeconds }: UpOptions,
): Parts['units'] {
  return new Map(
    instance.nodes.map((node) => [
      node.name,
      unitsOf({ instance, node, binaries, enforcer, etc: nodeEtc(node), audit, nodeGraceSeconds }),
    ]),
  );
}

/** Changes when anything that the instance is made of does. */
function versionOf({ seed, units, manifests }: Parts): string {
  return contentKey([seed, JSON.stringify([...units]), manifests]);
}

async function start({ instance, seed, units }: Parts): Promise<void> {
  await raiseLimits(instance);
  await mkdir(instance.announcementsDir, { recursive: true });
  const credentials = await createCredentials(instance, Date.now());
  await createNetwork(instance);
  for (const node of instance.nodes) {
    await prepareNode(node, units.get(node.name) ?? [], credentials.filesOf(node), seed);
    await startNode(node);
  }
  await writeFile(instance.kubeconfig, credentials.admin, { mode: 0o600 });
}

async function waitUntilReady(
  { instance, manifests }: Parts,
  kubectl: Kubectl,
  progress: Progress,
): Promise<void> {
  await kubectl.retry(['get', '--raw', '/readyz'], API_TIMEOUT_MS);
  progress.step('API server ready');
  await kubectl.retry(['apply', '-f', '-'], API_TIMEOUT_MS, manifests);
  for (const node of instance.nodes) {
    await kubectl.retry(
      ['wait', '--for=condition=Ready', `node/${node.name}`, '--timeout=60s'],
      NODE_TIMEOUT_MS,
    );
  }
  progress.step(instance.nodes.length === 1 ? 'node ready' : 'nodes ready');
  for (const [namespace, deployment] of [
    ['kube-system', 'coredns'],
    ['local-path-storage', 'local-path-provisioner'],
  ] as const) {
    await kubectl.run([
      ...[
        '--namespace',
        namespace,
        'rollout',
        'status',
        `deployment/${deployment}`,
        `--timeout=${ADDON_TIMEOUT}`,
      ],
    ]);
  }
  progress.step('cluster DNS and storage ready');
}

async function isHealthy(instance: Instance, wanted: State, kubectl: Kubectl): Promise<boolean> {
  const state = await readState(instance.name);
  if (state?.nodeCount !== wanted.nodeCount || state.version !== wanted.version) return false;
  for (const node of instance.nodes) {
    if ((await findNodeInit(node)) === undefined) return false;
  }
  const ready = await kubectl.attempt([
    ...['wait', '--for=condition=Ready', 'node', '--all', '--timeout=5s', '--request-timeout=5s'],
  ]);
  return ready.code === 0;
}

async function removeIfEmpty(folder: string): Promise<void> {
  const entries = await readdir(folder).catch(() => undefined);
  if (entries?.length === 0) await rmdir(folder);
}
