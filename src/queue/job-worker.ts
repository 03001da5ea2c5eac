// Takes jobs from a queue and runs their handler: with a time limit, a signal, our backoff, and an end that waits for running
// jobs up to a limit and then gives them back.
import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { Histogram } from 'prom-client';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { InvalidInputError, TimeoutError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Metrics } from '../lib/metrics.ts';
import { type JobDefinition, parsePayload } from './define-job.ts';
import { KEY_PREFIX } from './redis.ts';

/** A killed worker's jobs are taken over after at most `LOCK_MS + STALLED_CHECK_MS`. */
const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5_000;
/** How often a job may outlive its worker before it is given up; the sweep queues its work again then. */
const MAX_STALLED = 10;
/** What handlers get to end in after their signal was aborted by the close. */
const ABORT_GRACE_MS = 5_000;

export interface JobContext {
  /** Aborted at the job's time limit, when the lock was lost to another worker, and when the process must end. */
  signal: AbortSignal;
  /** 1 for the first try. */
  attempt: number;
  logger: Logger;
}

export interface JobWorkerDeps<Payload> {
  definition: JobDefinition<Payload>;
  /** A connection made for use as `worker`. BullMQ duplicates it to block on; ends stay with their owner. */
  redis: Redis;
  /** Jobs at once in this process. */
  concurrency: number;
  /** A rejection is a failed try; with an `InvalidInputError` no further one is made. */
  handle(payload: Payload, context: JobContext): Promise<void>;
  logger: Logger;
  metrics: Metrics;
  clock?: Clock;
}

export interface JobWorker {
  /** Takes jobs until closed. */
  run(): Promise<void>;
  /** Takes no more, waits up to `drainMs` for those that run, then aborts them and puts them back for other workers. */
  close(options: { drainMs: number }): Promise<void>;
}

export function createJobWorker<Payload>({
  definition,
  redis,
  concurrency,
  handle,
  logger,
  metrics,
  clock = systemClock,
}: JobWorkerDeps<Payload>): JobWorker {
  const durations = jobDurations(metrics);
  const closing = new AbortController();
  const running = new Map<string, AbortController>();

  async function process(job: Job, token?: string): Promise<void> {
    const lockLost = new AbortController();
    const id = job.id ?? '';
    running.set(id, lockLost);
    const attempt = job.attemptsMade + 1;
    const jobLogger = logger.child({ job: definition.name, dedupeId: job.deduplicationId, attempt });
    const timeLimit = new AbortController();
    const timer = setTimeout(() => timeLimit.abort(tookTooLong(definition)), definition.timeoutMs);
    const stop = durations.startTimer({ job: definition.name });
    try {
      const signal = AbortSignal.any([closing.signal, lockLost.signal, timeLimit.signal]);
      await handle(parsePayload(definition, job.data), { signal, attempt, logger: jobLogger });
      stop({ outcome: 'completed' });
    } catch (error) {
      if (closing.signal.aborted) {
        stop({ outcome: 'returned' });
        await job.moveToWait(token);
        throw new WaitingError();
      }
      stop({ outcome: 'failed' });
      jobLogger.warn({ err: error }, 'job failed');
      throw error instanceof InvalidInputError ? new UnrecoverableError(error.message) : error;
    } finally {
      clearTimeout(timer);
      running.delete(id);
    }
  }

  const worker = new Worker(definition.name, process, {
    connection: redis,
    prefix: KEY_PREFIX,
    autorun: false,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLED,
    settings: { backoffStrategy: (attemptsMade) => backoffDelayMs(definition.backoff, attemptsMade - 1) },
  });
  worker.on('error', (error) => logger.warn({ err: error, job: definition.name }, 'queue error'));
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) running.get(id)?.abort(new Error(`the lock of job ${id} was lost`));
  });

  return {
    run: () => worker.run(),
    async close({ drainMs }) {
      const closed = worker.close();
      // With nothing to wait for, only a Redis that is away keeps it from closing.
      if (await settles(closed, running.size === 0 ? ABORT_GRACE_MS : drainMs, clock)) return;
      closing.abort(new Error('the worker is shutting down'));
      if (await settles(closed, ABORT_GRACE_MS, clock)) return;
      logger.error({ job: definition.name, jobs: running.size }, 'jobs do not end; their locks will run out');
    },
  };
}

async function settles(work: Promise<void>, limitMs: number, clock: Clock): Promise<boolean> {
  const limit = new AbortController();
  const late = clock.sleep(limitMs, limit.signal).then(
    () => false,
    () => true,
  );
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    limit.abort();
  }
}

function tookTooLong({ name, timeoutMs }: { name: string; timeoutMs: number }): TimeoutError {
  return new TimeoutError({ code: 'JobTimeout', message: `Job ${name} took longer than ${timeoutMs} ms` });
}

/** One histogram per registry, shared by its workers. */
function jobDurations(metrics: Metrics): Histogram<'job' | 'outcome'> {
  const name = 'mayfly_job_duration_seconds';
  const known = metrics.getSingleMetric(name);
  if (known instanceof Histogram) return known;
  return new Histogram({
    name,
    help: 'How long tries of jobs take, by job and outcome (completed, failed, returned)',
    labelNames: ['job', 'outcome'],
    buckets: [0.01, 0.1, 0.5, 1, 2, 4, 8, 15, 30, 60, 300, 900],
    registers: [metrics],
  });
}
