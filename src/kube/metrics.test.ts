import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createReflectorMetrics, createWorkQueueMetrics } from './metrics.ts';

describe('the figures of reflectors', () => {
  it('say which state each is in, how long ago it heard anything, its lists and its failures', async () => {
    const registry = new Registry();
    const clock = createManualClock();
    const metricsOf = createReflectorMetrics(registry, clock);
    const pods = metricsOf('host/pods');
    metricsOf('virtual/pods').state('backing-off');
    pods.state('listing');
    pods.heard();
    pods.listed();
    pods.state('watching');
    pods.failed('Expired');
    await clock.advance(2_500);
    const text = await registry.metrics();
    expect(text).toContain('mayfly_reflector_state{reflector="host/pods",state="watching"} 1');
    expect(text).toContain('mayfly_reflector_state{reflector="host/pods",state="listing"} 0');
    expect(text).toContain('mayfly_reflector_state{reflector="virtual/pods",state="backing-off"} 1');
    expect(text).toContain('mayfly_reflector_last_heard_seconds{reflector="host/pods"} 2.5');
    expect(text).toContain('mayfly_reflector_lists_total{reflector="host/pods"} 1');
    expect(text).toContain('mayfly_reflector_failures_total{reflector="host/pods",code="Expired"} 1');
  });
});

describe('the figures of work queues', () => {
  it('count additions and retries and measure waits and runs by queue', async () => {
    const registry = new Registry();
    const queue = createWorkQueueMetrics(registry)('pods');
    queue.added();
    queue.retried();
    queue.depth(3);
    queue.started(20);
    queue.finished(700);
    const text = await registry.metrics();
    expect(text).toContain('mayfly_work_queue_depth{queue="pods"} 3');
    expect(text).toContain('mayfly_work_queue_additions_total{queue="pods"} 1');
    expect(text).toContain('mayfly_work_queue_retries_total{queue="pods"} 1');
    expect(text).toContain('mayfly_work_queue_wait_seconds_sum{queue="pods"} 0.02');
    expect(text).toContain('mayfly_work_queue_run_seconds_sum{queue="pods"} 0.7');
  });
});
