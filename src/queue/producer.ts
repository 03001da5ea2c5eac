// Puts jobs into their queues, and says so at once when that is not possible.
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { UnavailableError } from '../lib/errors.ts';
import { type JobDefinition, parsePayload } from './define-job.ts';
import { KEY_PREFIX } from './redis.ts';

export interface EnqueueOptions {
  /**
   * A job that waits out a backoff is started now instead. For hints that say something new (a delivery, a new generation), not
   * for those that the job's own writes cause: they would undo its backoff.
   */
  expedite?: boolean;
}

export interface JobProducer {
  /**
   * Resolves when Redis has the job, or already had one with the same dedupe id.
   * @throws UnavailableError `QueueUnavailable` within seconds when Redis does not take it
   */
  enqueue<Payload>(
    definition: JobDefinition<Payload>,
    payload: Payload,
    options?: EnqueueOptions,
  ): Promise<void>;
  /** Ends the queues; the connection stays its owner's. */
  close(): Promise<void>;
}

/** @param redis a connection made for use as `producer`. */
export function createJobProducer({ redis }: { redis: Redis }): JobProducer {
  const queues = new Map<string, Queue>();

  function queueOf(name: string): Queue {
    const known = queues.get(name);
    if (known) return known;
    const queue = new Queue(name, { connection: redis, prefix: KEY_PREFIX, skipWaitingForReady: true });
    // The connection's owner logs its errors; without a listener here they would end the process.
    queue.on('error', () => {});
    queues.set(name, queue);
    return queue;
  }

  return {
    async enqueue(definition, payload, { expedite = false } = {}) {
      const data = parsePayload(definition, payload);
      const queue = queueOf(definition.name);
      try {
        await queue.add(definition.name, data, {
          attempts: definition.attempts,
          backoff: { type: 'custom' },
          deduplication: { id: definition.dedupeId(data), keepLastIfActive: true, reschedule: expedite },
          // A finished job that stayed would keep its dedupe id, and what it knew is in the Environment.
          removeOnComplete: true,
          removeOnFail: true,
        });
      } catch (error) {
        // A queue whose first command failed repeats that failure for ever, so the next call makes another one.
        queues.delete(definition.name);
        await queue.close().catch(() => undefined);
        throw new UnavailableError({
          code: 'QueueUnavailable',
          message: `Redis did not take the job ${definition.name}`,
          cause: error,
        });
      }
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
