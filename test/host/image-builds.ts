// How images are built from Dockerfiles here: the project's own, and those of apps that tests and the demo deploy.
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { helmPath, kubectlPath } from '../support/tools.ts';
import type { KeyedBuild } from './builder.ts';
import { contentKey, hashTree } from './cache.ts';
import { run } from './command.ts';
import { buildBaseImage, cachedLayer } from './images.ts';
import type { Image } from './oci.ts';
import type { Progress } from './progress.ts';

const PROJECT_IMAGE = 'docker.io/mayfly/mayfly:dev';
const REPOSITORY = join(import.meta.dirname, '..', '..');
/** The project's Dockerfile and what it copies. */
const PROJECT_INPUTS = ['Dockerfile', 'dist', 'charts', 'package.json'];
const BUNDLE_TIMEOUT_MS = 2 * 60_000;

/** Bundles the project and says how its image is built. */
export async function projectImageBuild(cache: string, progress: Progress): Promise<KeyedBuild> {
  await run(process.execPath, ['scripts/build.ts'], { cwd: REPOSITORY, timeoutMs: BUNDLE_TIMEOUT_MS });
  return keyedBuild(PROJECT_IMAGE, REPOSITORY, PROJECT_INPUTS, cache, progress);
}

/** Says how the Dockerfile of a folder is built; all of the folder counts as input. */
export function folderImageBuild(
  reference: string,
  folder: string,
  cache: string,
  progress: Progress,
): Promise<KeyedBuild> {
  return keyedBuild(reference, resolve(folder), ['.'], cache, progress);
}

/** Dockerfiles take what they need of BASE (a small Debian) and TOOLS (node, helm and kubectl in /tools). */
async function keyedBuild(
  reference: string,
  contextDir: string,
  inputs: readonly string[],
  cache: string,
  progress: Progress,
): Promise<KeyedBuild> {
  const images = {
    BASE: await buildBaseImage(cache, progress),
    TOOLS: await toolsImage(cache, progress),
  };
  const hashes = await Promise.all(inputs.map((input) => hashTree(join(contextDir, input))));
  return { reference, contextDir, images, key: contentKey([...hashes, JSON.stringify(images)]) };
}

async function toolsImage(cache: string, progress: Progress): Promise<Image> {
  const programs = { node: process.execPath, helm: await helmPath(), kubectl: await kubectlPath() };
  const key = [process.version, programs.helm, programs.kubectl];
  const layer = await cachedLayer(join(cache, 'layers'), 'tools', key, async (root) => {
    progress.step('packing node, helm and kubectl');
    await mkdir(join(root, 'tools'));
    for (const [name, program] of Object.entries(programs)) {
      const path = join(root, 'tools', name);
      await copyFile(program, path);
      await chmod(path, 0o755);
    }
  });
  return { references: ['localhost/tools:dev'], layers: [layer], config: {} };
}
