// Which webhook deliveries were taken, so that a repeated or replayed one does nothing. Redis forgets them after three days.
import type { Redis } from 'ioredis';
import { UnavailableError } from '../lib/errors.ts';
import { KEY_PREFIX } from './redis.ts';

/** GitHub lets a delivery be sent again for three days (its documentation on redelivering webhooks). */
const KEPT_MS = 3 * 24 * 60 * 60_000;
/** A claim that was neither confirmed nor released, because the process died, may be taken again after this. */
const CLAIM_MS = 60_000;

export interface DeliveryLog {
  /** Whether the delivery is new, and the caller's to handle: it confirms or releases it then. */
  claim(deliveryId: string): Promise<boolean>;
  /** It was handled: never again. */
  confirm(deliveryId: string): Promise<void>;
  /** It could not be handled: a redelivery may be. */
  release(deliveryId: string): Promise<void>;
}

/**
 * Every method rejects with `UnavailableError` `QueueUnavailable` when Redis does not answer.
 * @param redis a connection made for use as `producer`.
 */
export function createDeliveryLog({ redis }: { redis: Redis }): DeliveryLog {
  const keyOf = (deliveryId: string) => `${KEY_PREFIX}:delivery:${deliveryId}`;
  return {
    claim: (id) =>
      orUnavailable(redis.set(keyOf(id), 'claimed', 'PX', CLAIM_MS, 'NX').then((set) => set === 'OK')),
    confirm: (id) => orUnavailable(redis.set(keyOf(id), 'done', 'PX', KEPT_MS).then(() => undefined)),
    release: (id) => orUnavailable(redis.del(keyOf(id)).then(() => undefined)),
  };
}

async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new UnavailableError({ code: 'QueueUnavailable', message: 'Redis does not answer', cause: error });
  }
}
