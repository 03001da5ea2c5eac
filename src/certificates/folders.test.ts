import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeCertificateFolders } from './folders.ts';
import { FILES_BY_CONTAINER } from './plan.ts';

const files = Object.fromEntries(
  [...new Set(Object.values(FILES_BY_CONTAINER).flat()), 'admin.key'].map((name) => [
    name,
    `content of ${name}`,
  ]),
);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certificates-'));
  await Promise.all(Object.keys(FILES_BY_CONTAINER).map((container) => mkdir(join(folder, container))));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('gives each container its own files and no other', async () => {
  await writeCertificateFolders(folder, files);
  for (const [container, names] of Object.entries(FILES_BY_CONTAINER)) {
    expect((await readdir(join(folder, container))).sort()).toEqual([...names].sort());
  }
});

test('lets the owner and the pod’s group read, and nobody else', async () => {
  await writeCertificateFolders(folder, files);
  const { mode } = await stat(join(folder, 'kube-controller-manager', 'ca.key'));
  expect(mode & 0o777).toBe(0o440);
});

test('replaces what an earlier start wrote', async () => {
  await writeCertificateFolders(folder, files);
  await writeCertificateFolders(folder, { ...files, 'syncer.crt': 'renewed' });
  expect(await readFile(join(folder, 'syncer', 'syncer.crt'), 'utf8')).toBe('renewed');
});

test('fails when a file is missing instead of starting a control plane without it', async () => {
  const { 'ca.crt': _, ...incomplete } = files;
  await expect(writeCertificateFolders(folder, incomplete)).rejects.toThrow('ca.crt');
});
