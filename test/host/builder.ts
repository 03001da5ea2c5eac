// Builds images from Dockerfiles with buildah, without a registry: what they build on is handed in.
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { contentKey } from './cache.ts';
import { run } from './command.ts';
import { withLock } from './lock.ts';
import { type Image, writeLayout } from './oci.ts';
import type { Progress } from './progress.ts';

export interface KeyedBuild {
  /** Full reference of the result, registry included. */
  readonly reference: string;
  /** Folder that holds the Dockerfile and what it copies. */
  readonly contextDir: string;
  /** Build arguments that name images, each with the image itself. */
  readonly images: Readonly<Record<string, Image>>;
  /** Hash of everything that goes into the image: it is built and loaded when this changes. */
  readonly key: string;
}

const SCRIPT = join(import.meta.dirname, 'build-image.sh');
/** No name of an instance. */
const LOCK = '_images';
const BUILD_TIMEOUT_MS = 10 * 60_000;

/** Builds an image and passes the path of its archive, which is gone afterwards, to `use`. */
export async function withBuiltImage<T>(
  build: KeyedBuild,
  cache: string,
  progress: Progress,
  use: (archive: string) => Promise<T>,
): Promise<T> {
  progress.step(`building ${build.reference}`);
  const storage = join(cache, 'buildah');
  await mkdir(storage, { recursive: true });
  // Beside the layers, so that they can be linked.
  const folder = join(cache, `image-${randomUUID()}`);
  await mkdir(folder);
  try {
    const args: string[] = [];
    const layouts: string[] = [];
    for (const [argument, image] of Object.entries(build.images)) {
      const layout = join(folder, argument);
      await mkdir(layout);
      await writeLayout(layout, [image]);
      const name = `localhost/${argument.toLowerCase()}:${contentKey([JSON.stringify(image)])}`;
      args.push('--build-arg', `${argument}=${name}`);
      layouts.push(`${name}=${layout}`);
    }
    const archive = join(folder, 'image.tar');
    const command = [SCRIPT, storage, build.reference, build.contextDir, archive, ...layouts, '--', ...args];
    // One at a time: in the end each takes away what no image is made of, which another may be about to use.
    await withLock(LOCK, BUILD_TIMEOUT_MS, () =>
      // In a mount namespace of its own: the storage leaves a mount behind.
      run('unshare', ['--mount', '--propagation=private', 'bash', ...command], {
        timeoutMs: BUILD_TIMEOUT_MS,
        env: { ...process.env, BUILDAH_ISOLATION: 'chroot' },
      }),
    );
    return await use(archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
