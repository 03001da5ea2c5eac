// The enforcer as one file with the Node that runs it, in the cache: a host does not depend on the checkout that started it.
import { copyFile, link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { cachedFolder, contentKey } from '../cache.ts';

export interface EnforcerProgram {
  readonly node: string;
  readonly script: string;
}

export async function buildEnforcer(cache: string): Promise<EnforcerProgram> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'main.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // pino is CommonJS and asks for Node's own modules by require().
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  const bundle = outputFiles[0]?.contents ?? new Uint8Array();
  const key = contentKey([process.version, bundle]);
  const folder = await cachedFolder(join(cache, 'bin', `network-policy-${key}`), async (unfinished) => {
    await writeFile(join(unfinished, 'network-policy.mjs'), bundle);
    const node = join(unfinished, 'node');
    await link(process.execPath, node).catch(() => copyFile(process.execPath, node));
  });
  return { node: join(folder, 'node'), script: join(folder, 'network-policy.mjs') };
}
