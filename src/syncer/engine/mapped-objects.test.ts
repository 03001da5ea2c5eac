import { afterEach, describe, expect, it, vi } from 'vitest';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import {
  configMapOnHost,
  podNamed,
  podOnHost,
  type SyncerHarness,
  secretOnHost,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../test/support/translation-context.ts';
import { KubeError } from '../../kube/errors.ts';
import { CONFIG_MAPS, NAMESPACES, PODS, SECRETS } from '../../kube/resource.ts';
import type { SyncOptions } from '../kind.ts';
import type { ConfigMap, Secret } from '../objects.ts';

let syncer: SyncerHarness;
afterEach(() => syncer?.stop());

const { sync } = translationContext();
const begin = (options: Partial<SyncOptions>) =>
  startSyncer({ facts: translationContext({}, { sync: { ...sync, ...options } }) });
const login = {
  from: { namespace: 'infra', name: 'login' },
  to: { namespace: 'default', name: 'registry' },
};
const inside = () => syncer.virtual.get<Secret>(SECRETS, 'default/registry');
const putLogin = (type = 'Opaque') =>
  syncer.host.put<Secret>(SECRETS, { metadata: login.from, type, data: { token: 'b25l' } });

describe('a Secret of the host that is shown inside', () => {
  it('is kept true there, and ends with the host’s', async () => {
    syncer = await begin({ fromHost: { configMaps: [], secrets: [login] } });
    syncer.host.put<Secret>(SECRETS, {
      metadata: { namespace: 'infra', name: 'other' },
      data: { a: 'YQ==' },
    });
    putLogin();
    await vi.waitFor(() => expect(inside()).toMatchObject({ type: 'Opaque', data: { token: 'b25l' } }));
    syncer.virtual.change<Secret>(SECRETS, 'default/registry', (secret) => {
      secret.data = { token: 'bWluZQ==' };
    });
    await vi.waitFor(() => expect(inside()?.data).toEqual({ token: 'b25l' }));
    syncer.host.change<Secret>(SECRETS, 'infra/login', (secret) => {
      secret.data = { token: 'dHdv' };
    });
    await vi.waitFor(() => expect(inside()?.data).toEqual({ token: 'dHdv' }));
    syncer.virtual.remove(SECRETS, 'default/registry');
    await vi.waitFor(() => expect(inside()?.data).toEqual({ token: 'dHdv' }));
    expect(syncer.virtual.list(SECRETS)).toHaveLength(1);
    syncer.host.remove(SECRETS, 'infra/login');
    await vi.waitFor(() => expect(inside()).toBeUndefined());
  });

  it('holds up nothing, and stays inside, when it may not be read', async () => {
    const host = createMemoryApiServer();
    host.intercept = ({ verb, type, namespace }) => {
      if (verb === 'list' && type === SECRETS && namespace === 'infra')
        throw new KubeError({ status: 403, reason: 'Forbidden', message: 'no' });
    };
    const virtual = createMemoryApiServer();
    const { metadata } = { metadata: { ...login.to, annotations: { 'mayfly.dev/from-host': 'true' } } };
    virtual.put<Secret>(SECRETS, { metadata, data: { token: 'b25l' } });
    const fromHost = { configMaps: [], secrets: [login] };
    const facts = translationContext({}, { sync: { ...sync, fromHost } });
    syncer = await startSyncer({ host, virtual, facts });
    syncer.virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.quiet();
    expect(inside()).toBeDefined();
    host.intercept = undefined;
    await vi.waitFor(() => expect(inside()).toBeUndefined(), { timeout: 5_000 });
  });

  it('may be referred to like any other', async () => {
    syncer = await begin({ fromHost: { configMaps: [], secrets: [login] } });
    putLogin('kubernetes.io/service-account-token');
    await vi.waitFor(() => expect(inside()?.type).toBe('Opaque'));
    expect(secretOnHost(syncer.host, 'default/registry')).toBeUndefined();
    syncer.virtual.put(PODS, podNamed('default/web', { imagePullSecrets: [{ name: 'registry' }] }));
    await vi.waitFor(() =>
      expect(secretOnHost(syncer.host, 'default/registry')?.data).toEqual({ token: 'b25l' }),
    );
  });

  it('ends when it is not mapped any more, and leaves what users made', async () => {
    syncer = await begin({});
    const left = { 'mayfly.dev/from-host': 'true' };
    syncer.virtual.put<Secret>(SECRETS, { metadata: { ...login.to, annotations: left } });
    syncer.virtual.put<Secret>(SECRETS, { metadata: { namespace: 'default', name: 'mine' } });
    await vi.waitFor(() => expect(inside()).toBeUndefined());
    await syncer.quiet();
    expect(syncer.virtual.list(SECRETS)).toHaveLength(1);
  });
});

describe('a ConfigMap of the host that is shown inside', () => {
  it('comes with its namespace', async () => {
    const to = { namespace: 'later', name: 'settings' };
    const from = { namespace: 'host-ns', name: 'settings' };
    syncer = await begin({ fromHost: { configMaps: [{ from, to }], secrets: [] } });
    syncer.virtual.intercept = ({ verb, type, object }) => {
      if (verb === 'create' && type === CONFIG_MAPS && !syncer.virtual.get(NAMESPACES, 'later'))
        throw new Error(`no namespace ${object?.metadata.namespace}`);
    };
    syncer.host.put<ConfigMap>(CONFIG_MAPS, { metadata: from, data: { a: '1' } });
    await syncer.quiet();
    expect(syncer.virtual.list(CONFIG_MAPS)).toEqual([]);
    syncer.virtual.put(NAMESPACES, { metadata: { name: 'later' } });
    await vi.waitFor(() =>
      expect(syncer.virtual.get<ConfigMap>(CONFIG_MAPS, 'later/settings')?.data).toEqual({ a: '1' }),
    );
  });
});

describe('config maps and secrets that nothing refers to', () => {
  it.each(['referenced', 'all'] as const)('reach the host by option: %s', async (which) => {
    syncer = await begin({ configMaps: which, secrets: which });
    const metadata = { namespace: 'default', name: 'alone' };
    syncer.virtual.put<ConfigMap>(CONFIG_MAPS, { metadata, data: { a: '1' } });
    syncer.virtual.put<Secret>(SECRETS, { metadata, data: { a: 'YQ==' } });
    if (which === 'all') {
      await vi.waitFor(() => expect(configMapOnHost(syncer.host, 'default/alone')).toBeDefined());
      await vi.waitFor(() => expect(secretOnHost(syncer.host, 'default/alone')).toBeDefined());
      syncer.virtual.remove(CONFIG_MAPS, 'default/alone');
      await vi.waitFor(() => expect(configMapOnHost(syncer.host, 'default/alone')).toBeUndefined());
    } else {
      await syncer.quiet();
      expect(configMapOnHost(syncer.host, 'default/alone')).toBeUndefined();
      expect(secretOnHost(syncer.host, 'default/alone')).toBeUndefined();
    }
  });
});
