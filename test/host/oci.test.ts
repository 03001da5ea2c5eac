// Image layouts as container runtimes read them.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Layer, packLayer, readLayer, writeLayout } from './oci.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'mayfly-oci-'));
});
afterEach(() => rm(root, { recursive: true }));

async function pack(name: string, content: string): Promise<Layer> {
  const folder = join(root, name);
  await mkdir(folder);
  await writeFile(join(folder, 'program'), content, { mode: 0o755 });
  await packLayer(folder, `${folder}.tar`);
  return readLayer(`${folder}.tar`);
}

describe('packLayer', () => {
  it('gives the same digest for the same content', async () => {
    expect((await pack('a', 'same')).digest).toBe((await pack('b', 'same')).digest);
    expect((await pack('c', 'other')).digest).not.toBe((await pack('d', 'same')).digest);
  });
});

describe('writeLayout', () => {
  it('names every image by each of its references, and holds every blob under its digest', async () => {
    const layer = await pack('layer', 'content');
    const layout = join(root, 'layout');
    await mkdir(layout);
    await writeLayout(layout, [
      { references: ['docker.io/a/a:1', 'docker.io/a/a:latest'], layers: [layer], config: { Cmd: ['a'] } },
      { references: ['docker.io/b/b:1'], layers: [layer], config: { Entrypoint: ['b'] } },
    ]);
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));
    const names = index.manifests.map(
      (manifest: { annotations: Record<string, string> }) => manifest.annotations['io.containerd.image.name'],
    );
    expect(names).toEqual(['docker.io/a/a:1', 'docker.io/a/a:latest', 'docker.io/b/b:1']);

    const blobs = join(layout, 'blobs/sha256');
    for (const name of await readdir(blobs)) {
      const content = await readFile(join(blobs, name));
      expect(createHash('sha256').update(content).digest('hex')).toBe(name);
    }
    // Two configurations, two manifests and the layer that both share.
    expect(await readdir(blobs)).toHaveLength(5);
    expect((await stat(join(blobs, layer.digest.slice('sha256:'.length)))).nlink).toBe(2);
  });
});
