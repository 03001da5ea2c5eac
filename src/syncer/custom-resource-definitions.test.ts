import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../test/support/memory-api-server.ts';
import { KubeError } from '../kube/errors.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../kube/resource.ts';
import { type CustomResourceDefinition, installDefinitions } from './custom-resource-definitions.ts';
import type { CustomResource } from './kind.ts';

const NAME = 'backups.example.com';
const resource: CustomResource = {
  group: 'example.com',
  version: 'v1',
  plural: 'backups',
  kind: 'Backup',
  direction: 'fromHost',
  statusBack: true,
};
const schema = { openAPIV3Schema: { type: 'object' } };
const definition = {
  metadata: { name: NAME, labels: { a: 'b' }, annotations: { 'api-approved.kubernetes.io': 'yes', x: 'y' } },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'backups', singular: 'backup', kind: 'Backup', listKind: 'BackupList' },
    conversion: { strategy: 'Webhook' },
    versions: [
      { name: 'v1beta1', served: true, storage: false, schema },
      { name: 'v1', served: true, storage: true, schema, subresources: { status: {} } },
    ],
  },
} as CustomResourceDefinition;

let stop: AbortController;
beforeEach(() => {
  stop = new AbortController();
});
afterEach(() => stop.abort());

function installing() {
  const [host, virtual, clock] = [createMemoryApiServer(), createMemoryApiServer(), createManualClock()];
  const deps = { host: host.client, virtual: virtual.client, clock, logger: pino({ level: 'silent' }) };
  const run = () => installDefinitions({ ...deps, resources: [resource] }, stop.signal);
  return { host, virtual, clock, run };
}

describe('the definition of a custom resource', () => {
  it('is installed inside in the version that is synced, without conversion', async () => {
    const { host, virtual, run } = installing();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    await run();
    const inside = virtual.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, NAME);
    expect(inside?.metadata).toMatchObject({ annotations: { 'api-approved.kubernetes.io': 'yes' } });
    expect(inside?.metadata.labels).toBeUndefined();
    expect(inside?.spec).toEqual({
      group: 'example.com',
      scope: 'Namespaced',
      names: definition.spec.names,
      versions: [{ name: 'v1', served: true, storage: true, schema, subresources: { status: {} } }],
    });
  });

  it('is left alone where there is one', async () => {
    const { host, virtual, run } = installing();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    const own = { metadata: { name: NAME }, spec: { ...definition.spec, versions: [] } };
    virtual.put<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, own);
    await run();
    expect(virtual.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, NAME)?.spec.versions).toEqual(
      [],
    );
  });

  it('is waited for, and not asked for any more where it may not be read', async () => {
    const { host, virtual, clock, run } = installing();
    const installed = run();
    await vi.waitFor(() => expect(host.requests).toHaveLength(1));
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    await clock.advance(20_000);
    await installed;
    expect(virtual.get(CUSTOM_RESOURCE_DEFINITIONS, NAME)).toBeDefined();
    host.intercept = () => {
      throw new KubeError({ status: 403, reason: 'Forbidden', message: 'no' });
    };
    await run();
  });
});
