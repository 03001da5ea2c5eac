// Puts images into the cluster under test: archives, images built from a Dockerfile, and the project's own.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { type KeyedBuild, withBuiltImage } from './builder.ts';
import { contentKey } from './cache.ts';
import { externalKubeconfig } from './cluster.ts';
import { run, tryRun } from './command.ts';
import { folderImageBuild, projectImageBuild } from './image-builds.ts';
import { cacheDir, type Instance } from './instance.ts';
import { withLock } from './lock.ts';
import { containerdSocket } from './node.ts';
import { type Image, writeLayout } from './oci.ts';
import { installPackages } from './packages.ts';
import type { Progress } from './progress.ts';
import { runningInstance } from './state.ts';

/** An image by its name, and a hash of everything that it is made of. */
type Keyed = Pick<KeyedBuild, 'reference' | 'key'>;

/** A cluster that takes image archives, and remembers which images it holds. */
interface Target {
  load(archive: string): Promise<void>;
  holds(image: Keyed): Promise<boolean>;
  remember(image: Keyed): Promise<void>;
}

const IMPORT_TIMEOUT_MS = 5 * 60_000;
/** No name of an instance. */
const PROJECT_LOCK = '_project';
const PROJECT_TIMEOUT_MS = 10 * 60_000;

/** Builds the project's own image and loads it, unless the cluster has it already. */
export async function loadProjectImage(name: string, progress: Progress): Promise<void> {
  const target = await findTarget(name);
  // Bundling empties the folder that another run may be making an image of.
  await withLock(PROJECT_LOCK, PROJECT_TIMEOUT_MS, async () =>
    loadBuild(target, await projectImageBuild(cacheDir(), progress), progress),
  );
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

/** Loads the images that the cluster does not have already. */
export async function loadImages(name: string, images: readonly Image[], progress: Progress): Promise<void> {
  const target = await findTarget(name);
  const keyed = images.map((image) => ({ image, ...keyOf(image) }));
  const held = await Promise.all(keyed.map((image) => target.holds(image)));
  const missing = keyed.filter((_, index) => !held[index]);
  if (missing.length === 0) return;
  progress.step(`loading ${missing.length} images`);
  // Beside the layers, so that they can be linked.
  const folder = await mkdtemp(join(cacheDir(), 'images-'));
  try {
    const layout = join(folder, 'layout');
    const archive = join(folder, 'images.tar');
    await mkdir(layout);
    await writeLayout(
      layout,
      missing.map(({ image }) => image),
    );
    await run('tar', ['--create', '--file', archive, '--directory', layout, '.'], {
      timeoutMs: IMPORT_TIMEOUT_MS,
    });
    await target.load(archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  for (const image of missing) await target.remember(image);
}

function keyOf({ references, layers, config }: Image): Keyed {
  const digests = layers.map(({ digest }) => digest);
  return {
    reference: references[0] ?? '',
    key: contentKey([...references, ...digests, JSON.stringify(config)]),
  };
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
  const record = ({ reference }: Keyed) => join(instance.stateDir, 'loaded', encodeURIComponent(reference));
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
