import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../test/support/memory-api-server.ts';
import { KubeError } from '../kube/errors.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../kube/resource.ts';
import { type CustomResourceDefinition, followDefinitions } from './custom-resource-definitions.ts';
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

function following() {
  const [host, virtual, clock] = [createMemoryApiServer(), createMemoryApiServer(), createManualClock()];
  const deps = { host: host.client, virtual: virtual.client, clock, logger: pino({ level: 'silent' }) };
  const run = () => followDefinitions({ ...deps, resources: [resource] }, stop.signal);
  return { host, virtual, clock, run };
}

describe('the definition of a custom resource', () => {
  it('is installed inside in the version that is synced, without conversion', async () => {
    const { host, virtual, run } = following();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    void run();
    await vi.waitFor(() => expect(virtual.list(CUSTOM_RESOURCE_DEFINITIONS)).toHaveLength(1));
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
    const { host, virtual, run } = following();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    const own = { metadata: { name: NAME }, spec: { ...definition.spec, versions: [] } };
    virtual.put<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, own);
    await run();
    expect(virtual.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, NAME)?.spec.versions).toEqual(
      [],
    );
  });

  it('follows that of the host, also when it was installed by an earlier process, and keeps what others added', async () => {
    const { host, virtual, clock, run } = following();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    void run();
    await vi.waitFor(() => expect(virtual.list(CUSTOM_RESOURCE_DEFINITIONS)).toHaveLength(1));
    virtual.change<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, NAME, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, mine: 'yes' };
    });
    const schemaInside = () =>
      virtual.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, NAME)?.spec.versions[0]?.schema;
    const changeTo = (changed: object) =>
      host.change<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, NAME, ({ spec }) => {
        spec.versions = spec.versions.map((version) => ({ ...version, schema: changed }));
      });
    const first = { openAPIV3Schema: { type: 'object', properties: { a: { type: 'string' } } } };
    changeTo(first);
    await clock.advance(20_000);
    await vi.waitFor(() => expect(schemaInside()).toEqual(first));
    const writes = virtual.writes().length;
    await clock.advance(20_000);
    expect(virtual.writes()).toHaveLength(writes);

    stop.abort();
    stop = new AbortController();
    const second = { openAPIV3Schema: { type: 'object', description: 'second' } };
    changeTo(second);
    void run();
    await vi.waitFor(() => expect(schemaInside()).toEqual(second));
    const { metadata } = virtual.get(CUSTOM_RESOURCE_DEFINITIONS, NAME) ?? {};
    expect(metadata?.annotations).toMatchObject({ mine: 'yes' });
  });

  it('is not installed again once somebody has removed it inside', async () => {
    const { host, virtual, clock, run } = following();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    void run();
    await vi.waitFor(() => expect(virtual.list(CUSTOM_RESOURCE_DEFINITIONS)).toHaveLength(1));
    virtual.remove(CUSTOM_RESOURCE_DEFINITIONS, NAME);
    const asked = host.requests.length;
    await clock.advance(20_000);
    await vi.waitFor(() => expect(host.requests.length).toBeGreaterThan(asked));
    await clock.advance(20_000);
    expect(virtual.list(CUSTOM_RESOURCE_DEFINITIONS)).toEqual([]);
  });

  it('is installed once the virtual API takes it, which refuses it while its store is nearly full', async () => {
    const { host, virtual, clock, run } = following();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    virtual.intercept = () => {
      throw new KubeError({ status: 403, reason: 'Forbidden', message: 'the store is nearly full' });
    };
    void run();
    await vi.waitFor(() => expect(virtual.requests).toHaveLength(1));
    virtual.intercept = undefined;
    await clock.advance(20_000);
    await vi.waitFor(() => expect(virtual.get(CUSTOM_RESOURCE_DEFINITIONS, NAME)).toBeDefined());
  });

  it('is tried again less and less often while the virtual API does not answer', async () => {
    const { host, virtual, clock, run } = following();
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    virtual.intercept = () => {
      throw new KubeError({ status: 503, reason: 'ServiceUnavailable', message: 'no' });
    };
    void run();
    for (let tries = 1; tries <= 4; tries++) {
      await vi.waitFor(() => expect(virtual.requests).toHaveLength(tries));
      await clock.advance(1_000 * 2 ** (tries - 1));
    }
    await vi.waitFor(() => expect(virtual.requests).toHaveLength(5));
    await clock.advance(1_000);
    expect(virtual.requests).toHaveLength(5);
  });

  it('is waited for, and not asked for any more where it may not be read', async () => {
    const { host, virtual, clock, run } = following();
    const followed = run();
    await vi.waitFor(() => expect(host.requests).toHaveLength(1));
    host.put(CUSTOM_RESOURCE_DEFINITIONS, definition);
    await clock.advance(20_000);
    await vi.waitFor(() => expect(virtual.get(CUSTOM_RESOURCE_DEFINITIONS, NAME)).toBeDefined());
    host.intercept = () => {
      throw new KubeError({ status: 403, reason: 'Forbidden', message: 'no' });
    };
    await clock.advance(20_000);
    await followed;
  });
});
