import { afterEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../../test/support/memory-api-server.ts';
import { deepFreeze } from '../../../../test/support/pod-samples.ts';
import {
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  secretOnHost,
  startSyncer,
} from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { KubeError } from '../../../kube/errors.ts';
import { PODS, type ResourceType, SECRETS } from '../../../kube/resource.ts';
import { sameOnWire } from '../../equality.ts';
import { type CustomResource, type CustomResourceToHost, onHost } from '../../kind.ts';
import { hostName } from '../../names.ts';
import { KINDS, UPWARD_KINDS } from '../registry.ts';
import { customKinds, customUpwardKinds } from './kinds.ts';
import { type Custom, customResourceToHost } from './to-host.ts';

const BACKUPS: ResourceType = {
  group: 'example.com',
  version: 'v1',
  plural: 'backups',
  kind: 'Backup',
  namespaced: true,
};
const listed: CustomResourceToHost = {
  group: 'example.com',
  version: 'v1',
  plural: 'backups',
  kind: 'Backup',
  direction: 'toHost',
  statusBack: true,
  references: [
    { path: 'spec.secretName', kind: 'Secret' },
    { path: 'spec.targets[*].serviceRef.name', kind: 'Service' },
    { path: 'spec.keys[*]', kind: 'ConfigMap' },
    { path: 'spec.parent', kind: 'Backup' },
  ],
  selectors: ['spec.selector', 'spec.targets[*].pods'],
};
const kind = customResourceToHost(listed, [listed]);
const context = translationContext();
const named = (plural: string, name: string, namespace = 'default') =>
  hostName('vc', plural, { namespace, name });

const backup: Custom = deepFreeze({
  apiVersion: 'example.com/v1',
  kind: 'Backup',
  metadata: {
    namespace: 'default',
    name: 'nightly',
    uid: 'u1',
    generation: 7,
    labels: { team: 'a' },
    annotations: { 'example.com/x': 'y' },
    finalizers: ['example.com/f'],
  },
  spec: {
    schedule: '@daily',
    secretName: 'store',
    keys: ['one', 'two'],
    parent: '',
    selector: { matchLabels: { app: 'db' } },
    targets: [
      { serviceRef: { name: 'db', namespace: 'other' }, pods: { app: 'db' } },
      { serviceRef: { name: 'cache' }, pods: { app: 'cache' } },
    ],
  },
  status: { phase: 'Old' },
});

function copyOf(virtual: Custom): Custom {
  const body = kind.toHost(virtual, context);
  if (!body) throw new Error('no copy');
  return onHost<Custom>(BACKUPS, body, virtual, context);
}
const withSpec = (spec: object): Custom => ({ ...backup, spec: { ...(backup.spec as object), ...spec } });

describe('a custom resource on the host', () => {
  it('has its whole spec, with names and selectors rewritten where the operator says they are', () => {
    const selector = (app: string) => ({
      [Object.keys((copyOf(backup).spec as { selector: { matchLabels: object } }).selector.matchLabels)[0] ??
        '']: app,
      'mayfly.dev/cluster': 'vc',
    });
    expect(copyOf(backup).spec).toEqual({
      schedule: '@daily',
      secretName: named('secrets', 'store'),
      keys: [named('configmaps', 'one'), named('configmaps', 'two')],
      parent: '',
      selector: {
        matchLabels: selector('db'),
        matchExpressions: [{ key: 'mayfly.dev/virtual-namespace', operator: 'In', values: ['default'] }],
      },
      targets: [
        {
          serviceRef: { name: named('services', 'db', 'other'), namespace: 'host-ns' },
          pods: { ...selector('db'), 'mayfly.dev/virtual-namespace': 'default' },
        },
        {
          serviceRef: { name: named('services', 'cache') },
          pods: { ...selector('cache'), 'mayfly.dev/virtual-namespace': 'default' },
        },
      ],
    });
  });

  it('carries no label, annotation, finalizer or status over (T5, T6)', () => {
    const { metadata, status } = copyOf(backup);
    expect(status).toBeUndefined();
    expect(metadata.finalizers).toBeUndefined();
    const keys = [...Object.keys(metadata.labels ?? {}), ...Object.keys(metadata.annotations ?? {})];
    expect(keys.filter((key) => !key.startsWith('mayfly.dev/'))).toEqual([]);
  });

  it.each([
    ['spec.selector: must say which pods', { selector: undefined }],
    ['spec.selector: is no selector', { selector: { matchAnything: true } }],
    ['spec.secretName: is no name', { secretName: { name: 'store' } }],
    ['spec.keys: is no list', { keys: 'one' }],
    ['spec.targets[0].serviceRef: is no object', { targets: [{ serviceRef: 'db', pods: {} }] }],
  ])('is refused where it is not as the operator says: %s', (message, spec) => {
    expect(() => kind.toHost(withSpec(spec), context)).toThrow(message);
    expect(kind.references?.(withSpec(spec))).toBeDefined();
  });

  it('refers to what its fields name, and waits for what is made for it', () => {
    const references = kind
      .references?.(backup)
      .map(({ type, namespace, name, isAwaited }) => [type.kind, namespace, name, isAwaited].join(' '));
    expect(references).toEqual([
      'Secret default store true',
      'Service other db false',
      'Service default cache false',
      'ConfigMap default one true',
      'ConfigMap default two true',
    ]);
  });

  it('keeps what the host adds to it, and nothing that is not ours any more', () => {
    const desired = copyOf(backup);
    const defaulted: Custom = {
      ...desired,
      spec: { ...(desired.spec as object), retention: 'forever' },
    };
    expect(sameOnWire(kind.merge(defaulted, desired), defaulted)).toBe(true);
    const edited: Custom = { ...desired, spec: { ...(desired.spec as object), schedule: '@hourly' } };
    expect(kind.merge(edited, desired).spec).toEqual(desired.spec);
    const { schedule: _, ...without } = backup.spec as { schedule: string };
    const fewer = copyOf({ ...backup, spec: without });
    expect(kind.merge(defaulted, fewer).spec).toEqual(fewer.spec);
  });

  it('tells its status inside without names of the host, and with the generation inside', () => {
    const host: Custom = {
      ...copyOf(backup),
      status: {
        observedGeneration: 3,
        message: `Secret ${named('secrets', 'store')} in host-ns is used`,
        conditions: [{ type: 'Ready', observedGeneration: 2 }],
      },
    };
    host.metadata = { ...host.metadata, generation: 3 };
    const inside = (virtual: Custom) => kind.toVirtual?.(host, virtual, context).status;
    expect(inside(backup)).toEqual({
      observedGeneration: 7,
      message: 'Secret store in default is used',
      conditions: [{ type: 'Ready', observedGeneration: 6 }],
    });
    // The host has not been told yet of what is new inside.
    expect(inside(withSpec({ schedule: '@weekly' }))).toMatchObject({ observedGeneration: 6 });
    const silent = customResourceToHost({ ...listed, statusBack: false }, [listed]);
    expect(silent.toVirtual).toBeUndefined();
  });
});

describe('custom resources between two clusters', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const begin = (resources: CustomResource[], more: Parameters<typeof startSyncer>[0] = {}) =>
    startSyncer({
      kinds: [...KINDS, ...customKinds(resources)],
      upwardKinds: [...UPWARD_KINDS, ...customUpwardKinds(resources)],
      ...more,
    });
  const simple: CustomResourceToHost = {
    ...listed,
    references: [{ path: 'spec.secretName', kind: 'Secret' }],
    selectors: [],
  };
  const spec = { secretName: 'store' };
  const inside: Custom = { metadata: { namespace: 'default', name: 'nightly' }, spec };

  it('take what they refer to along, and let go of it', async () => {
    syncer = await begin([simple]);
    syncer.virtual.put(SECRETS, { metadata: { namespace: 'default', name: 'store' }, data: {} } as never);
    syncer.virtual.put(BACKUPS, inside);
    const key = hostKey('backups', 'default/nightly');
    await vi.waitFor(() => expect(syncer.host.get(BACKUPS, key)).toBeDefined());
    expect(secretOnHost(syncer.host, 'default/store')).toBeDefined();
    await syncer.quiet();
    const before = syncer.host.writes().length;
    syncer.host.change<Custom>(BACKUPS, key, (copy) => {
      copy.spec = { ...(copy.spec as object), added: 'by a controller' };
    });
    await syncer.quiet();
    expect(syncer.host.writes()).toHaveLength(before);
    syncer.host.change<Custom>(BACKUPS, key, (copy) => {
      copy.spec = { secretName: 'stolen' };
    });
    await vi.waitFor(() =>
      expect(syncer.host.get<Custom>(BACKUPS, key)?.spec).toEqual({ secretName: named('secrets', 'store') }),
    );
    syncer.virtual.remove(BACKUPS, 'default/nightly');
    await vi.waitFor(() => expect(syncer.host.get(BACKUPS, key)).toBeUndefined());
    await vi.waitFor(() => expect(secretOnHost(syncer.host, 'default/store')).toBeUndefined());
  });

  it('come and go with their definition on the host, while other kinds are synced (F27)', async () => {
    const clock = createManualClock();
    const host = createMemoryApiServer();
    syncer = await begin([simple], { clock, host });
    syncer.virtual.put(BACKUPS, inside);
    const key = hostKey('backups', 'default/nightly');
    await vi.waitFor(() => expect(host.get(BACKUPS, key)).toBeDefined());
    host.withdraw(BACKUPS);
    syncer.virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.quiet();
    expect(syncer.virtual.get(BACKUPS, 'default/nightly')).toBeDefined();
    host.serve(BACKUPS);
    await clock.advance(60_000);
    await vi.waitFor(() => expect(host.get(BACKUPS, key)).toBeDefined());
  });

  it('that cannot be listed inside at the start, for want of a conversion webhook, hold up nothing and lose nothing (F27)', async () => {
    const [virtual, host] = [createMemoryApiServer(), createMemoryApiServer()];
    const store = { metadata: { namespace: 'default', name: 'store' }, data: {} };
    const key = hostKey('backups', 'default/nightly');
    syncer = await begin([simple], { virtual, host });
    virtual.put(SECRETS, store as never);
    virtual.put(BACKUPS, inside);
    await vi.waitFor(() => expect(host.get(BACKUPS, key)).toBeDefined());
    await syncer.quiet();
    await syncer.stop();
    const written = host.writes().length;
    virtual.intercept = ({ type }) => {
      if (type.plural === BACKUPS.plural)
        throw new KubeError({ status: 500, reason: 'InternalError', message: 'conversion webhook failed' });
    };
    syncer = await begin([simple], { virtual, host });
    await syncer.quiet();
    expect(host.writes()).toHaveLength(written);
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    virtual.intercept = undefined;
    virtual.remove(BACKUPS, 'default/nightly');
    await vi.waitFor(() => expect(host.get(BACKUPS, key)).toBeUndefined(), { timeout: 5_000 });
    await vi.waitFor(() => expect(secretOnHost(host, 'default/store')).toBeUndefined());
  });

  const shown = {
    group: 'example.com',
    version: 'v1',
    plural: 'backups',
    kind: 'Backup',
    direction: 'fromHost' as const,
    statusBack: true,
  };

  it('of one namespace of the host are shown in one inside, edits put back, others not', async () => {
    syncer = await begin([{ ...shown, namespace: { from: 'infra', to: 'default' } }]);
    const put = (namespace: string, name: string) =>
      syncer.host.put<Custom>(BACKUPS, {
        metadata: { namespace, name, labels: { a: 'b' } },
        spec: { size: 1 },
        status: { phase: 'Done' },
      });
    put('infra', 'shared');
    put('elsewhere', 'secret');
    const copy = () => syncer.virtual.get<Custom>(BACKUPS, 'default/shared');
    await vi.waitFor(() => expect(copy()).toMatchObject({ spec: { size: 1 }, status: { phase: 'Done' } }));
    expect(copy()?.metadata.labels).toBeUndefined();
    syncer.virtual.change<Custom>(BACKUPS, 'default/shared', (object) => {
      object.spec = { size: 2 };
    });
    await vi.waitFor(() => expect(copy()).toMatchObject({ spec: { size: 1 } }));
    syncer.virtual.put<Custom>(BACKUPS, { metadata: { namespace: 'default', name: 'mine' } });
    syncer.host.remove(BACKUPS, 'infra/shared');
    await vi.waitFor(() => expect(copy()).toBeUndefined());
    await syncer.quiet();
    expect(syncer.virtual.list(BACKUPS).map(({ metadata }) => metadata.name)).toEqual(['mine']);
  });

  it('of a namespace of the host that may not be read hold up nothing, and stay inside', async () => {
    const host = createMemoryApiServer();
    const refuse = ({ verb, namespace }: { verb: string; namespace?: string }) => {
      if (verb === 'list' && namespace === 'infra')
        throw new KubeError({ status: 403, reason: 'Forbidden', message: 'no' });
    };
    host.intercept = refuse;
    const virtual = createMemoryApiServer();
    const annotations = { 'mayfly.dev/from-host': 'true' };
    virtual.put<Custom>(BACKUPS, { metadata: { namespace: 'default', name: 'shared', annotations } });
    syncer = await begin([{ ...shown, namespace: { from: 'infra', to: 'default' } }], { host, virtual });
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.quiet();
    expect(virtual.get(BACKUPS, 'default/shared')).toBeDefined();
    host.intercept = undefined;
    await vi.waitFor(() => expect(virtual.get(BACKUPS, 'default/shared')).toBeUndefined(), {
      timeout: 5_000,
    });
  });

  it('of the whole host are shown where they are cluster-scoped', async () => {
    const type = { ...BACKUPS, namespaced: false };
    syncer = await begin([shown]);
    syncer.host.put<Custom>(type, { metadata: { name: 'everywhere' }, spec: { size: 1 } });
    await vi.waitFor(() =>
      expect(syncer.virtual.get(type, 'everywhere')).toMatchObject({ spec: { size: 1 } }),
    );
  });
});
