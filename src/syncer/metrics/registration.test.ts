import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import type { KubeObject, ResourceType } from '../../kube/resource.ts';
import { createMetricsRegistration } from './registration.ts';

const API_SERVICES: ResourceType = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  plural: 'apiservices',
  kind: 'APIService',
  namespaced: false,
};
const stop = new AbortController();
afterEach(() => stop.abort());

describe('the metrics API inside', () => {
  it('is there while the host has metrics, and one that somebody else made stays', async () => {
    const server = createMemoryApiServer();
    const clock = createManualClock();
    const host = { hasMetrics: false };
    const theirs = { metadata: { name: 'v1beta1.metrics.k8s.io' }, spec: {} };
    server.put<KubeObject>(API_SERVICES, theirs);
    const registration = createMetricsRegistration({
      client: server.client,
      usage: { isAvailable: async () => host.hasMetrics },
      clock,
      logger: pino({ level: 'silent' }),
    });
    const registered = () => server.get(API_SERVICES, 'v1beta1.metrics.k8s.io');
    void registration.run(stop.signal);
    await vi.waitFor(() => expect(server.requests).toHaveLength(1));
    expect(registered()).toMatchObject(theirs);
    server.remove(API_SERVICES, 'v1beta1.metrics.k8s.io');
    host.hasMetrics = true;
    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(registered()).toMatchObject({ spec: { service: { namespace: 'kube-system' } } });
    });
    host.hasMetrics = false;
    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(registered()).toBeUndefined();
    });
  });
});
