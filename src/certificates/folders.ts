// Puts certificates where the containers of the control plane read them: one folder for each, with its own files only.
import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CertificateFiles } from './certificates.ts';
import { k3sFiles } from './k3s.ts';
import { FILES_BY_CONTAINER } from './plan.ts';

/** Group-readable, because the containers may run under other users of the pod's group. */
const FILE_MODE = 0o440;

/** @throws Error when a file is missing. */
function filesOf(container: string, files: Readonly<CertificateFiles>): CertificateFiles {
  if (container === 'k3s') return k3sFiles(files);
  const names: readonly string[] = FILES_BY_CONTAINER[container as keyof typeof FILES_BY_CONTAINER] ?? [];
  return Object.fromEntries(
    names.map((name) => {
      const content = files[name];
      if (content === undefined) throw new Error(`there is no certificate file ${name}`);
      return [name, content];
    }),
  );
}

/**
 * Fills the folders below `folder`, each of which is a container's. A file appears under its name only when it is complete, since
 * the API server and client-go read them again while they run.
 */
export async function writeCertificateFolders(
  folder: string,
  files: Readonly<CertificateFiles>,
): Promise<void> {
  const containers = await readdir(folder);
  await Promise.all(
    containers.flatMap((container) =>
      Object.entries(filesOf(container, files)).map(([name, content]) =>
        writeWhole(join(folder, container, name), content),
      ),
    ),
  );
}

async function writeWhole(path: string, content: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const unfinished = join(folder, `.${basename(path)}`);
  await writeFile(unfinished, content, { mode: 0o600 });
  await chmod(unfinished, FILE_MODE);
  await rename(unfinished, path);
}
