// A containerd root with all images of the host imported and unpacked, made once per set of images: every
// node starts from a copy made of hard links, and no state of an earlier run gets in its way.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, contentKey } from './cache.ts';
import { run } from './command.ts';
import { type Image, writeLayout } from './oci.ts';
import type { Progress } from './progress.ts';

const IMPORT_TIMEOUT_MS = 5 * 60_000;
const IMPORT_SCRIPT = join(import.meta.dirname, 'seed-import.sh');

/** Databases that containerd writes to; everything else in its root is never changed, only added or removed. */
const DATABASES = [
  'io.containerd.metadata.v1.bolt/meta.db',
  'io.containerd.snapshotter.v1.overlayfs/metadata.db',
];

/** Returns the seed for these images, making it when it does not exist. */
export async function buildSeed(
  images: readonly Image[],
  cache: string,
  progress: Progress,
): Promise<string> {
  const version = await run('containerd', ['--version']);
  const content = JSON.stringify(
    images.map((image) => ({ ...image, layers: image.layers.map((layer) => layer.digest) })),
  );
  const script = await readFile(IMPORT_SCRIPT);
  return cachedFolder(join(cache, 'seeds', contentKey([version, content, script])), async (folder) => {
    progress.step(`importing ${images.length} images`);
    const layout = join(folder, 'layout');
    await mkdir(layout);
    await writeLayout(layout, images);
    const namespaces = [
      '--fork',
      '--kill-child',
      '--pid',
      '--mount',
      '--mount-proc',
      '--net',
      '--propagation=private',
    ];
    await run('unshare', [...namespaces, 'bash', IMPORT_SCRIPT, layout, folder], {
      timeoutMs: IMPORT_TIMEOUT_MS,
    });
    await run('rm', ['-rf', layout]);
  });
}

/** Copies a seed to where a node's containerd keeps its root. */
export async function copySeed(seed: string, target: string): Promise<void> {
  await run('cp', ['--archive', '--link', join(seed, 'root'), target]);
  for (const database of DATABASES) {
    await run('cp', [
      '--archive',
      '--remove-destination',
      join(seed, 'root', database),
      join(target, database),
    ]);
  }
}
