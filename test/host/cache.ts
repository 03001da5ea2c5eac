// Entries of the cache folder: made once per key, complete or absent, whoever is interrupted.
import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const UNFINISHED = '.unfinished-';

/** A short hash over strings, unambiguous about where one ends. */
export function contentKey(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${part.length}:`).update(part);
  }
  return hash.digest('hex').slice(0, 16);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Returns `path`, a folder that `make` fills when it does not exist. It is filled under another name and
 * renamed when complete; of two makers at once the first wins. What killed makers left is removed.
 */
export async function cachedFolder(path: string, make: (folder: string) => Promise<void>): Promise<string> {
  if (await exists(path)) return path;
  await removeAbandoned(path);
  const unfinished = `${path}${UNFINISHED}${process.pid}-${randomUUID()}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await make(unfinished);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(path))) throw error;
  }
  return path;
}

/** A maker whose process id is in use again keeps its folder until that process has ended too. */
async function removeAbandoned(path: string): Promise<void> {
  const prefix = `${basename(path)}${UNFINISHED}`;
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    const maker = Number(name.slice(prefix.length).split('-')[0]);
    if (name.startsWith(prefix) && !(await exists(`/proc/${maker}`))) {
      await rm(join(dirname(path), name), { recursive: true, force: true });
    }
  }
}

/** A hash over a file, or over the names and contents of everything in a folder. */
export async function hashTree(path: string): Promise<string> {
  if ((await stat(path)).isFile()) return contentKey([await readFile(path)]);
  const names = (await readdir(path)).sort();
  const below = await Promise.all(names.map((name) => hashTree(join(path, name))));
  return contentKey(names.flatMap((name, index) => [name, below[index] ?? '']));
}
