// The Prometheus registry of a process. Each part registers its own metrics on the registry it is given.
import { collectDefaultMetrics, Registry } from 'prom-client';

export type Metrics = Registry;

/** A registry with the process's own figures (CPU, memory, event loop) on it. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
