// Container images without a registry or a daemon: layers from folders or tar files, images as OCI layouts.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from './command.ts';

/** An uncompressed layer: compressing hundreds of megabytes costs more than reading them from the local disk. */
export interface Layer {
  readonly file: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
}

export interface Image {
  /** Full references, registry included: the container runtime knows images by these alone. */
  readonly references: readonly string[];
  readonly layers: readonly Layer[];
  readonly config: ImageConfig;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const PATH_ENV = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const EPOCH = '1970-01-01T00:00:00Z';

/** Packs a folder, file capabilities included, the same bytes for the same content. */
export async function packLayer(folder: string, file: string): Promise<void> {
  await run('tar', [
    ...['--create', '--file', file, '--directory', folder, '--sort=name', '--mtime=@0', '--numeric-owner'],
    ...['--format=posix', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'],
    ...['--xattrs', '--xattrs-include=security.capability', '.'],
  ]);
  await digestLayer(file);
}

/** Writes the digest of a layer beside it: reading hundreds of megabytes once is enough. */
export async function digestLayer(file: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  await writeFile(`${file}.digest`, `sha256:${hash.digest('hex')}`);
}

/** A layer that was packed or digested before. */
export async function readLayer(file: string): Promise<Layer> {
  return { file, digest: await readFile(`${file}.digest`, 'utf8'), sizeBytes: (await stat(file)).size };
}

/** Writes images that may share layers as one OCI layout in an existing, empty folder. */
export async function writeLayout(folder: string, images: readonly Image[]): Promise<void> {
  const blobs = join(folder, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const manifests = [];
  for (const image of images) {
    for (const layer of image.layers) {
      await link(layer.file, join(blobs, hexOf(layer.digest))).catch(ignoreExisting);
    }
    const manifest = await writeImage(blobs, image);
    for (const reference of image.references) {
      manifests.push({
        ...manifest,
        annotations: {
          'io.containerd.image.name': reference,
          'org.opencontainers.image.ref.name': reference,
        },
      });
    }
  }
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}

async function writeImage(blobs: string, image: Image): Promise<Descriptor> {
  const config = await writeBlob(blobs, 'application/vnd.oci.image.config.v1+json', {
    created: EPOCH,
    architecture: 'amd64',
    os: 'linux',
    config: { ...image.config, Env: [PATH_ENV, ...(image.config.Env ?? [])] },
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.digest) },
    history: image.layers.map(() => ({ created: EPOCH })),
  });
  return writeBlob(blobs, 'application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: image.layers.map((layer) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: layer.digest,
      size: layer.sizeBytes,
    })),
  });
}

async function writeBlob(blobs: string, mediaType: string, content: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(content));
  const hex = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
