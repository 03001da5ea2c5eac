// The cache folder under interruption and competition, on a real file system.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedFolder, contentKey, hashTree } from './cache.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'mayfly-cache-'));
});
afterEach(() => rm(root, { recursive: true }));

describe('cachedFolder', () => {
  const write = (content: string) => (folder: string) => writeFile(join(folder, 'file'), content);

  it('makes an entry once', async () => {
    const path = join(root, 'entry');
    await cachedFolder(path, write('first'));
    await cachedFolder(path, write('second'));
    expect(await readFile(join(path, 'file'), 'utf8')).toBe('first');
  });

  it('leaves nothing of an entry that could not be made', async () => {
    const failing = cachedFolder(join(root, 'entry'), async (folder) => {
      await write('half')(folder);
      throw new Error('interrupted');
    });
    await expect(failing).rejects.toThrow('interrupted');
    expect(await readdir(root)).toEqual([]);
  });

  it('gives all makers of one entry the same one', async () => {
    const path = join(root, 'entry');
    const makers = ['a', 'b', 'c'].map((content) => cachedFolder(path, write(content)));
    expect(await Promise.all(makers)).toEqual([path, path, path]);
    expect(await readdir(root)).toEqual(['entry']);
  });

  it('removes what a killed maker left, and only that', async () => {
    const abandoned = 'entry.unfinished-4194305-x';
    const inProgress = `entry.unfinished-${process.pid}-x`;
    const neighbour = 'other.unfinished-4194305-x';
    for (const name of [abandoned, inProgress, neighbour]) await mkdir(join(root, name));
    await cachedFolder(join(root, 'entry'), write('content'));
    expect(await readdir(root)).toEqual(['entry', inProgress, neighbour]);
  });
});

describe('contentKey', () => {
  it('tells parts apart that read the same when joined', () => {
    expect(contentKey(['ab', 'c'])).not.toBe(contentKey(['a', 'bc']));
  });
});

describe('hashTree', () => {
  it('changes with the name and the content of any file below', async () => {
    await mkdir(join(root, 'folder'));
    const hashes = new Set([await hashTree(root)]);
    await writeFile(join(root, 'folder', 'a'), 'content');
    hashes.add(await hashTree(root));
    await writeFile(join(root, 'folder', 'a'), 'changed');
    hashes.add(await hashTree(root));
    await writeFile(join(root, 'folder', 'b'), '');
    hashes.add(await hashTree(root));
    expect(hashes.size).toBe(4);
  });
});
