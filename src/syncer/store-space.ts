// Keeps new objects out of a store whose volume is nearly full. kine answers that it created an object also when its database
// had no room for it (v0.17.5, pkg/logstructured/logstructured.go, Create), so the store must never get that far.
import { statfs } from 'node:fs/promises';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import {
  creationPolicy,
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from './admission/configuration.ts';
import { FIELD_MANAGER } from './names.ts';

export interface Space {
  sizeBytes: number;
  availableBytes: number;
}

export interface StoreSpaceDeps {
  /** Of the virtual API. */
  client: Pick<KubeClient, 'apply' | 'delete'>;
  readSpace(): Promise<Space>;
  clock: Clock;
  logger: Logger;
}

export interface StoreSpace {
  readonly hasRoom: boolean;
  /** Watches until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const CHECK_INTERVAL_MS = 2_000;
const MEBIBYTE = 2 ** 20;
/** Enough for what is written between two looks, and for updates and deletions while nothing new is let in. */
const RESERVE = { share: 0.1, leastBytes: 32 * MEBIBYTE, mostBytes: 512 * MEBIBYTE };

/** How much must stay free in a volume of this size. */
export function reserveBytes(sizeBytes: number): number {
  const reserve = Math.min(Math.max(sizeBytes * RESERVE.share, RESERVE.leastBytes), RESERVE.mostBytes);
  return Math.min(reserve, sizeBytes / 2);
}

export async function readVolumeSpace(folder: string): Promise<Space> {
  const { bsize, blocks, bavail } = await statfs(folder);
  return { sizeBytes: bsize * blocks, availableBytes: bsize * bavail };
}

export function createStoreSpace({ client, readSpace, clock, logger }: StoreSpaceDeps): StoreSpace {
  let hasRoom = true;
  /** What the virtual API was told last. */
  let told: boolean | undefined;

  async function tell(signal: AbortSignal): Promise<void> {
    const [policy, binding] = creationPolicy();
    if (hasRoom) {
      const name = { name: binding.metadata.name ?? '' };
      await client.delete(VALIDATING_ADMISSION_POLICY_BINDINGS, name, { signal }).catch((error) => {
        if (!isNotFound(error)) throw error;
      });
      // There while there is room, so that a store that fills takes no more than the binding.
      await client.apply(VALIDATING_ADMISSION_POLICIES, policy, {
        fieldManager: FIELD_MANAGER,
        force: true,
        signal,
      });
    } else {
      await client.apply(VALIDATING_ADMISSION_POLICY_BINDINGS, binding, {
        fieldManager: FIELD_MANAGER,
        force: true,
        signal,
      });
    }
    told = hasRoom;
  }

  async function look(signal: AbortSignal): Promise<void> {
    const { sizeBytes, availableBytes } = await readSpace();
    const has = availableBytes >= reserveBytes(sizeBytes);
    if (has !== hasRoom) {
      const figures = { sizeBytes, availableBytes };
      if (has) logger.info(figures, 'the store has room again');
      else logger.error(figures, 'the store is nearly full: no new objects are let in');
    }
    hasRoom = has;
    if (told !== hasRoom) await tell(signal);
  }

  return {
    get hasRoom() {
      return hasRoom;
    },
    async run(signal) {
      while (!signal.aborted) {
        await look(signal).catch((error) => {
          if (!signal.aborted) logger.warn({ reason: errorMessage(error) }, 'the store’s room is not known');
        });
        await clock.sleep(CHECK_INTERVAL_MS, signal).catch(() => {});
      }
    },
  };
}
