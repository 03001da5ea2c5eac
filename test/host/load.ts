// Puts images into the cluster under test: archives, images built from a Dockerfile, and the project's own.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type KeyedBuild, withBuiltImage } from './builder.ts';
import { externalKubeconfig } from './cluster.ts';
import { run, tryRun } from './command.ts';
import { cacheDir, type Instance } from './instance.ts';
import { containerdSocket } from './node.ts';
import { installPackages } from './packages.ts';
import type { Progress } from './progress.ts';
import { projectImageBuild } from './project-image.ts';
import { runningInstance } from './state.ts';

const IMPORT_TIMEOUT_MS = 5 * 60_000;

/** Builds the project's own image and loads it. */
export async function loadProjectImage(name: string, progress: Progress): Promise<void> {
  await loadBuild(name, await projectImageBuild(cacheDir(), progress), progress);
}

/** Builds an image and loads it, unless the cluster has it already. */
export async function loadBuild(name: string, build: KeyedBuild, progress: Progress): Promise<void> {
  const instance = externalKubeconfig() ? undefined : await runningInstance(name);
  if (instance && (await loadedKey(instance, build.reference)) === build.key) {
    progress.step(`${build.reference} is loaded`);
    return;
  }
  await installPackages(progress);
  await withBuiltImage(build, cacheDir(), progress, (archive) => loadArchive(name, archive, progress));
  if (instance) await recordLoaded(instance, build.reference, build.key);
}

/** Loads an archive as `docker save`, `buildah push docker-archive:` or `oci-archive:` write it. */
export async function loadArchive(name: string, archive: string, progress: Progress): Promise<void> {
  const external = externalKubeconfig();
  if (external) return loadIntoExternal(external, archive);
  for (const node of (await runningInstance(name)).nodes) {
    progress.step(`importing into ${node.name}`);
    await run(
      'ctr',
      ['--address', await containerdSocket(node), '--namespace', 'k8s.io', 'images', 'import', archive],
      {
        timeoutMs: IMPORT_TIMEOUT_MS,
      },
    );
  }
}

/** kind and k3d name their contexts after themselves and the cluster. */
async function loadIntoExternal(kubeconfig: string, archive: string): Promise<void> {
  const context = (await readFile(kubeconfig, 'utf8')).match(/^current-context: *"?([^"\n]*)"?$/m)?.[1] ?? '';
  const [, tool, cluster] = context.match(/^(kind|k3d)-(.*)$/) ?? [];
  const commands: Readonly<Record<string, readonly string[]>> = {
    kind: ['load', 'image-archive', archive, '--name', cluster ?? ''],
    k3d: ['image', 'import', archive, '--cluster', cluster ?? ''],
  };
  const command = commands[tool ?? ''];
  const found = tool ? await tryRun(tool, ['version']).catch(() => undefined) : undefined;
  if (!tool || !command || found?.code !== 0) {
    throw new Error(
      `the cluster of context "${context}" is not one of kind or k3d: push the image to a registry that it reads`,
    );
  }
  await run(tool, command, { timeoutMs: IMPORT_TIMEOUT_MS });
}

function recordPath(instance: Instance, reference: string): string {
  return join(instance.stateDir, 'loaded', encodeURIComponent(reference));
}

async function loadedKey(instance: Instance, reference: string): Promise<string | undefined> {
  return readFile(recordPath(instance, reference), 'utf8').catch(() => undefined);
}

async function recordLoaded(instance: Instance, reference: string, key: string): Promise<void> {
  const path = recordPath(instance, reference);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, key);
}
