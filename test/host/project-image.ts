// The project's own image: its bundles, the tools they run, and the Dockerfile of the repository.
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { helmPath, kubectlPath } from '../support/tools.ts';
import type { KeyedBuild } from './builder.ts';
import { contentKey, hashTree } from './cache.ts';
import { run } from './command.ts';
import { buildBaseImage, cachedLayer } from './images.ts';
import type { Image } from './oci.ts';
import type { Progress } from './progress.ts';

export const PROJECT_IMAGE = 'docker.io/mayfly/mayfly:dev';

const REPOSITORY = join(import.meta.dirname, '..', '..');
/** The Dockerfile and what it copies. */
const INPUTS = ['Dockerfile', 'dist', 'charts', 'package.json'];
const BUNDLE_TIMEOUT_MS = 2 * 60_000;

/** Bundles the project and says how its image is built. */
export async function projectImageBuild(cache: string, progress: Progress): Promise<KeyedBuild> {
  await run(process.execPath, ['scripts/build.ts'], { cwd: REPOSITORY, timeoutMs: BUNDLE_TIMEOUT_MS });
  const images = { BASE: await buildBaseImage(cache, progress), TOOLS: await toolsImage(cache, progress) };
  const inputs = await Promise.all(INPUTS.map((input) => hashTree(join(REPOSITORY, input))));
  return {
    reference: PROJECT_IMAGE,
    contextDir: REPOSITORY,
    images,
    key: contentKey([...inputs, JSON.stringify(images)]),
  };
}

/** The programs that the project's containers run, in /tools. */
async function toolsImage(cache: string, progress: Progress): Promise<Image> {
  const programs = { node: process.execPath, helm: await helmPath(), kubectl: await kubectlPath() };
  const layer = await cachedLayer(
    join(cache, 'layers'),
    'tools',
    [process.version, programs.helm],
    async (root) => {
      progress.step('packing node, helm and kubectl');
      await mkdir(join(root, 'tools'));
      for (const [name, program] of Object.entries(programs)) {
        const path = join(root, 'tools', name);
        await copyFile(program, path);
        await chmod(path, 0o755);
      }
    },
  );
  return { references: ['localhost/mayfly-tools:dev'], layers: [layer], config: {} };
}
