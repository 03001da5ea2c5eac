// The Prometheus figures of the engine. Apart from it, so that it needs no metrics library to run.
import { Counter } from 'prom-client';
import { createReflectorMetrics, createWorkQueueMetrics } from '../../kube/metrics.ts';
import type { Metrics } from '../../lib/metrics.ts';
import type { EngineMetrics } from './engine.ts';

export function createEngineMetrics(registry: Metrics): EngineMetrics {
  const registers = [registry];
  const failures = new Counter({
    name: 'mayfly_syncer_failures_total',
    help: 'Reconciles that failed and are tried again, by kind and reason',
    labelNames: ['kind', 'code'],
    registers,
  });
  const dropped = new Counter({
    name: 'mayfly_syncer_events_dropped_total',
    help: 'Events of the host that were not carried inside, because there were too many',
    registers,
  });
  const replaced = new Counter({
    name: 'mayfly_syncer_store_replaced_total',
    help: 'Times that the host was found to hold objects of another store; nothing of them is deleted',
    registers,
  });
  return {
    reflector: createReflectorMetrics(registry),
    queue: createWorkQueueMetrics(registry),
    failed: (kind, code) => failures.inc({ kind, code }),
    eventDropped: () => dropped.inc(),
    storeReplaced: () => replaced.inc(),
  };
}
