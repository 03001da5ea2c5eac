// A limit of the machine that its nodes share: raised while any test host is up, and put back when the last one ends.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Instance, STATE_ROOT } from './instance.ts';
import { withLock } from './lock.ts';

/** A node takes about ten inotify instances and a virtual cluster as many, of 128 that root has by default. */
const LIMIT = '/proc/sys/fs/inotify/max_user_instances';
const WANTED = 1024;
/** Holds what the limit was before. */
const RECORD = 'max_user_instances';
/** No name of an instance. */
const LOCK = '_limits';
const LOCK_TIMEOUT_MS = 10_000;

export async function raiseLimits(instance: Instance): Promise<void> {
  await withLock(LOCK, LOCK_TIMEOUT_MS, async () => {
    await mkdir(instance.stateDir, { recursive: true });
    const before = await readFile(LIMIT, 'utf8');
    if (Number(before) >= WANTED) return;
    await writeFile(join(STATE_ROOT, RECORD), before);
    await writeFile(LIMIT, String(WANTED));
  });
}

/** Called once the instance's own folder is gone; the others need the limit still. */
export async function restoreLimits(): Promise<void> {
  await withLock(LOCK, LOCK_TIMEOUT_MS, async () => {
    const entries = await readdir(STATE_ROOT).catch(() => []);
    if (entries.length !== 1 || entries[0] !== RECORD) return;
    await writeFile(LIMIT, await readFile(join(STATE_ROOT, RECORD), 'utf8'));
    await rm(STATE_ROOT, { recursive: true });
  });
}
