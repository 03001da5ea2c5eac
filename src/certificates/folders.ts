// Puts certificates where the containers of the control plane read them: one folder for each, with its own files only.
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CertificateFiles } from './certificates.ts';
import { type CertificateContainer, FILES_BY_CONTAINER } from './plan.ts';

/** Group-readable, because the containers may run under other users of the pod's group. */
const FILE_MODE = 0o440;

/**
 * Writes below `folder` one folder per container; a file appears under its name only when it is complete, since the API server
 * and client-go read them again while they run.
 */
export async function writeCertificateFolders(
  folder: string,
  files: Readonly<CertificateFiles>,
): Promise<void> {
  const containers = Object.keys(FILES_BY_CONTAINER) as CertificateContainer[];
  await Promise.all(containers.map((container) => writeFolder(join(folder, container), container, files)));
}

async function writeFolder(
  folder: string,
  container: CertificateContainer,
  files: Readonly<CertificateFiles>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of FILES_BY_CONTAINER[container]) {
    const content = files[name];
    if (content === undefined) throw new Error(`there is no certificate file ${name}`);
    const unfinished = join(folder, `.${name}`);
    await writeFile(unfinished, content, { mode: 0o600 });
    await chmod(unfinished, FILE_MODE);
    await rename(unfinished, join(folder, name));
  }
}
