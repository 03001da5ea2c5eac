// The sample app as a repository holds it: what the demo and the tests make pull requests of.
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the image of the web page is built from, and how the app's chart calls it. */
export const SAMPLE_APP_FOLDER = fileURLToPath(new URL('sample-app', import.meta.url));
export const SAMPLE_APP_IMAGE = 'docker.io/mayfly/sample-web:dev';

/** Every file of the sample app by its path. */
export async function sampleAppFiles(): Promise<Record<string, string>> {
  const entries = await readdir(SAMPLE_APP_FOLDER, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = files.map(async (file) => {
    const path = relative(SAMPLE_APP_FOLDER, file).split(sep).join('/');
    return [path, await readFile(file, 'utf8')] as const;
  });
  return Object.fromEntries(await Promise.all(contents));
}
