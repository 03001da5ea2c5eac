// Keeps the certificates of a running process fit for use: renews them in time where that is its task, and notices new files.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { errorMessage, UnavailableError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { firstRenewalMs } from './validity.ts';

/** PEM. */
export interface CertificatePair {
  cert: string;
  key: string;
}

/** What the syncer uses itself, PEM. */
export interface SyncerCertificates {
  ca: string;
  /** Its own identity at the virtual API. */
  syncer: CertificatePair;
  kubelet: CertificatePair;
  webhook: CertificatePair;
}

/** @throws UnavailableError while somebody is still writing the files of a pair. */
export async function readSyncerCertificates(folder: string): Promise<SyncerCertificates> {
  const file = async (name: string) => (await readFile(join(folder, name), 'utf8')).trim();
  const pair = async (name: string): Promise<CertificatePair> => {
    const [cert, key] = await Promise.all([file(`${name}.crt`), file(`${name}.key`)]);
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
    throw new UnavailableError({
      code: 'UnmatchedKey',
      message: `the key of ${name} is not that of its certificate`,
    });
  };
  const [ca, syncer, kubelet, webhook] = await Promise.all([
    file('ca.crt'),
    ...(['syncer', 'kubelet', 'webhook'] as const).map(pair),
  ]);
  return { ca, syncer, kubelet, webhook } as SyncerCertificates;
}

export interface RotationDeps {
  /** What is in use when it begins. */
  initial: SyncerCertificates;
  read(): Promise<SyncerCertificates>;
  /** Makes anew what nears its end. Absent: somebody else does. */
  renew?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Puts other certificates than before to use; called again when it fails. */
  use(certificates: SyncerCertificates, signal: AbortSignal): Promise<void>;
  clock: Clock;
  logger: Logger;
}

/** As often as kube-apiserver looks at its own files. */
const CHECK_INTERVAL_MS = 60_000;
/** Between attempts when renewal is due and fails, or lives are very short. */
const SHORTEST_INTERVAL_MS = 5_000;

/** Runs until the signal aborts. Never rejects: there is nothing better to do with old certificates than to use them. */
export async function keepCertificates(deps: RotationDeps, signal: AbortSignal): Promise<void> {
  const { initial, read, renew, use, clock, logger } = deps;
  let current = initial;
  const dueInMs = () =>
    firstRenewalMs([current.ca, current.syncer.cert, current.kubelet.cert, current.webhook.cert]) -
    clock.nowMs();
  while (!signal.aborted) {
    const untilDueMs = renew ? dueInMs() : CHECK_INTERVAL_MS;
    const waitMs = Math.min(CHECK_INTERVAL_MS, Math.max(SHORTEST_INTERVAL_MS, untilDueMs));
    await clock.sleep(waitMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      if (renew && dueInMs() <= 0) await renew(signal);
      const found = await read();
      if (isDeepStrictEqual(found, current)) continue;
      await use(found, signal);
      current = found;
      logger.info({ renewAt: new Date(clock.nowMs() + dueInMs()) }, 'certificates were renewed');
    } catch (error) {
      if (signal.aborted) return;
      logger.error({ reason: errorMessage(error) }, 'certificates cannot be renewed');
    }
  }
}
