// Puts images into the cluster under test: archives, images built from a Dockerfile, and the project's own.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { type KeyedBuild, withBuiltImage } from './builder.ts';
import { externalKubeconfig } from './cluster.ts';
import { run, tryRun } from './command.ts';
import { folderImageBuild, projectImageBuild } from './image-builds.ts';
import { cacheDir, type Instance } from './instance.ts';
import { containerdSocket } from './node.ts';
import { installPackages } from './packages.ts';
import type { Progress } from './progress.ts';

import { runningInstance } from './state.ts';

/** A cluster that takes image archives, and remembers which builds it holds. */
interface Target {
  load(archive: string): Promise<void>;
  holds(build: KeyedBuild): Promise<boolean>;
  remember(build: KeyedBuild): Promise<void>;
}

const IMPORT_TIMEOUT_MS = 5 * 60_000;

/** Builds the project's own image and loads it, unless the cluster has it already. */
export async function loadProjectImage(name: string, progress: Progress): Promise<void> {
  const target = await findTarget(name);
  await loadBuild(target, await projectImageBuild(cacheDir(), progress), progress);
}

/** Builds the Dockerfile of a folder and loads the image, unless the cluster has it already. */
export async function loadFolder(
  name: string,
  reference: string,
  folder: string,
  progress: Progress,
): Promise<void> {
  const target = await findTarget(name);
  await loadBuild(target, await folderImageBuild(reference, folder, cacheDir(), progress), progress);
}

/** Loads an archive as `docker save` or `buildah push docker-archive:` writes it. */
export async function loadArchive(name: string, archive: string, progress: Progress): Promise<void> {
  const target = await findTarget(name);
  progress.step(`loading ${archive}`);
  await target.load(archive);
}

async function loadBuild(target: Target, build: KeyedBuild, progress: Progress): Promise<void> {
  if (await target.holds(build)) {
    progress.step(`${build.reference} is loaded`);
    return;
  }
  await installPackages(progress);
  await withBuiltImage(build, cacheDir(), progress, async (archive) => {
    progress.step(`loading ${build.reference}`);
    await target.load(archive);
  });
  await target.remember(build);
  progress.step(`${build.reference} is loaded`);
}

async function findTarget(name: string): Promise<Target> {
  const external = externalKubeconfig();
  return external ? externalTarget(external) : instanceTarget(await runningInstance(name));
}

function instanceTarget(instance: Instance): Target {
  const record = ({ reference }: KeyedBuild) =>
    join(instance.stateDir, 'loaded', encodeURIComponent(reference));
  return {
    async load(archive) {
      for (const node of instance.nodes) {
        const address = ['--address', await containerdSocket(node), '--namespace', 'k8s.io'];
        await run('ctr', [...address, 'images', 'import', archive], { timeoutMs: IMPORT_TIMEOUT_MS });
      }
    },
    async holds(build) {
      return (await readFile(record(build), 'utf8').catch(() => undefined)) === build.key;
    },
    async remember(build) {
      const path = record(build);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, build.key);
    },
  };
}

/** kind and k3d name their contexts after themselves and the cluster. */
async function externalTarget(kubeconfig: string): Promise<Target> {
  const context = currentContext(await readFile(kubeconfig, 'utf8'));
  const [, tool, cluster] = context.match(/^(kind|k3d)-(.+)$/) ?? [];
  const found = tool ? await tryRun(tool, ['version']).catch(() => undefined) : undefined;
  if (tool === undefined || cluster === undefined || found?.code !== 0) {
    throw new Error(
      `context "${context}" is not a cluster of an installed kind or k3d: push the image to a registry that it reads`,
    );
  }
  return {
    async load(archive) {
      const args =
        tool === 'kind'
          ? ['load', 'image-archive', archive, '--name', cluster]
          : ['image', 'import', archive, '--cluster', cluster];
      await run(tool, args, { timeoutMs: IMPORT_TIMEOUT_MS });
    },
    holds: async () => false,
    remember: async () => undefined,
  };
}

function currentContext(kubeconfig: string): string {
  const parsed = parse(kubeconfig) as { 'current-context'?: string } | null;
  return parsed?.['current-context'] ?? '';
}
