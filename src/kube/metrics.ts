// The Prometheus figures of reflectors and work queues. Apart from them, so that they need no metrics library to run.
import { Counter, Gauge, Histogram } from 'prom-client';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { ReflectorMetrics, ReflectorState } from './reflector.ts';
import type { WorkQueueMetrics } from './work-queue.ts';

const STATES: readonly ReflectorState[] = ['listing', 'watching', 'backing-off', 'absent', 'stopped'];

/**
 * Registers the figures of all reflectors of a process once; the result makes those of one, by a name such as `host/pods`.
 * `mayfly_reflector_last_heard_seconds` is how long ago the store was last known to be current: its lag at most.
 */
export function createReflectorMetrics(
  registry: Metrics,
  clock: Clock = systemClock,
): (reflector: string) => ReflectorMetrics {
  const registers = [registry];
  const heardMs = new Map<string, number>();
  const state = new Gauge({
    name: 'mayfly_reflector_state',
    help: '1 for the state that a reflector is in',
    labelNames: ['reflector', 'state'],
    registers,
  });
  new Gauge({
    name: 'mayfly_reflector_last_heard_seconds',
    help: 'Time since a page, an event or a bookmark arrived',
    labelNames: ['reflector'],
    registers,
    collect() {
      for (const [reflector, atMs] of heardMs) this.set({ reflector }, (clock.monotonicMs() - atMs) / 1000);
    },
  });
  const lists = new Counter({
    name: 'mayfly_reflector_lists_total',
    help: 'Complete lists that replaced the store',
    labelNames: ['reflector'],
    registers,
  });
  const failures = new Counter({
    name: 'mayfly_reflector_failures_total',
    help: 'Lists and watches that failed, by the reason',
    labelNames: ['reflector', 'code'],
    registers,
  });

  return (reflector) => ({
    state(current) {
      for (const each of STATES) state.set({ reflector, state: each }, each === current ? 1 : 0);
    },
    heard: () => void heardMs.set(reflector, clock.monotonicMs()),
    listed: () => lists.inc({ reflector }),
    failed: (code) => failures.inc({ reflector, code }),
  });
}

/** Registers the figures of all work queues of a process once; the result makes those of one, by its name. */
export function createWorkQueueMetrics(registry: Metrics): (queue: string) => WorkQueueMetrics {
  const shared = { labelNames: ['queue'], registers: [registry] };
  const depth = new Gauge({
    name: 'mayfly_work_queue_depth',
    help: 'Keys that wait',
    ...shared,
  });
  const added = new Counter({
    name: 'mayfly_work_queue_additions_total',
    help: 'Additions of keys',
    ...shared,
  });
  const retried = new Counter({
    name: 'mayfly_work_queue_retries_total',
    help: 'Failures that made a key wait for another try',
    ...shared,
  });
  const buckets = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
  const waited = new Histogram({
    name: 'mayfly_work_queue_wait_seconds',
    help: 'How long keys waited',
    buckets,
    ...shared,
  });
  const ran = new Histogram({
    name: 'mayfly_work_queue_run_seconds',
    help: 'How long keys ran',
    buckets,
    ...shared,
  });

  return (queue) => ({
    depth: (keys) => depth.set({ queue }, keys),
    added: () => added.inc({ queue }),
    retried: () => retried.inc({ queue }),
    started: (waitedMs) => waited.observe({ queue }, waitedMs / 1000),
    finished: (ranMs) => ran.observe({ queue }, ranMs / 1000),
  });
}
