import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createLogger } from '../lib/logger.ts';
import { type CertificateFiles, createCertificates, renewCertificates } from './certificates.ts';
import { keepCertificates, readSyncerCertificates, type SyncerCertificates } from './rotation.ts';

const DAY_MS = 24 * 60 * 60_000;
/** It looks as often as this. */
const CHECK_MS = 60_000;
const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const logger = createLogger({ name: 'test', level: 'fatal' });
const request = (nowMs: number) => ({
  cluster: 'vc',
  namespace: 'host-ns',
  serviceIps: [],
  extraNames: [],
  now: new Date(nowMs),
  lifetimeMs: 90 * DAY_MS,
});

let folder: string;
let files: CertificateFiles;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotation-'));
  files = await createCertificates(request(NOW_MS));
  await write();
});
afterEach(() => rm(folder, { recursive: true }));

async function write(): Promise<void> {
  await Promise.all(Object.entries(files).map(([name, pem]) => writeFile(join(folder, name), pem)));
}

/** A process that keeps its certificates, and what it did. */
async function keeping({ renews = true, use = async (_: SyncerCertificates) => {} } = {}) {
  const clock = createManualClock(NOW_MS);
  const stop = new AbortController();
  const renewals: number[] = [];
  const used: SyncerCertificates[] = [];
  const initial = await readSyncerCertificates(folder);
  let reads = 0;
  const renew = async () => {
    renewals.push(Math.round((clock.nowMs() - NOW_MS) / DAY_MS));
    files = await renewCertificates(files, request(clock.nowMs()));
    await write();
  };
  const running = keepCertificates(
    {
      initial,
      read: async () => {
        const found = await readSyncerCertificates(folder);
        reads += 1;
        return found;
      },
      renew: renews ? renew : undefined,
      use: async (certificates) => {
        used.push(certificates);
        await use(certificates);
      },
      clock,
      logger,
    },
    stop.signal,
  );
  return {
    initial,
    renewals,
    used,
    /** Moves time, then waits until the process has looked at its files once more. */
    async pass(ms: number) {
      const before = reads;
      await expect.poll(() => clock.sleepers).toBe(1);
      clock.jump(ms - CHECK_MS);
      await clock.advance(CHECK_MS);
      await expect.poll(() => reads).toBeGreaterThan(before);
      await expect.poll(() => clock.sleepers).toBe(1);
    },
    async end() {
      stop.abort();
      await running;
    },
  };
}

describe('a process that keeps its certificates', () => {
  it('renews them after two thirds of their life, and uses the new ones', async () => {
    const process = await keeping();
    await process.pass(59 * DAY_MS);
    expect(process.renewals).toEqual([]);
    await process.pass(2 * DAY_MS);
    expect(process.renewals).toEqual([61]);
    expect(process.used).toHaveLength(1);
    expect(process.used[0]?.syncer.cert).not.toBe(process.initial.syncer.cert);
    expect(process.used[0]?.ca).toBe(process.initial.ca);
    await process.end();
  });

  it('takes over what somebody else put there', async () => {
    const process = await keeping({ renews: false });
    files = await createCertificates(request(NOW_MS));
    await write();
    await process.pass(CHECK_MS);
    expect(process.used).toEqual([await readSyncerCertificates(folder)]);
    await process.end();
  });

  it('tries again when they cannot be put to use', async () => {
    let fails = true;
    const process = await keeping({
      renews: false,
      use: async () => {
        if (fails) throw new Error('the API server is away');
      },
    });
    files = await createCertificates(request(NOW_MS));
    await write();
    await process.pass(CHECK_MS);
    fails = false;
    await process.pass(CHECK_MS);
    await process.pass(CHECK_MS);
    expect(process.used).toHaveLength(2);
    await process.end();
  });

  it('leaves alone a certificate whose key is not there yet', async () => {
    const { 'syncer.key': key = '' } = files;
    files = { ...(await createCertificates(request(NOW_MS))), 'syncer.key': key };
    await write();
    await expect(readSyncerCertificates(folder)).rejects.toMatchObject({ code: 'UnmatchedKey' });
  });
});
