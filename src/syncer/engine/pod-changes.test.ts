import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  configMapOnHost,
  hostKey,
  place,
  podNamed,
  podOnHost,
  type SyncerHarness,
  start,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { KubeError } from '../../kube/errors.ts';
import { CONFIG_MAPS, EVENTS, type KubeObject, PODS } from '../../kube/resource.ts';
import { UnavailableError } from '../../lib/errors.ts';
import type { ConfigMap, EphemeralContainer, Event, Pod } from '../objects.ts';

let syncer: SyncerHarness;
afterEach(() => syncer?.stop());

const KEY = 'default/web';
const eventsInside = () => syncer.virtual.list<Event>(EVENTS).map(({ message }) => message);
const podInside = () => syncer.virtual.get<Pod>(PODS, KEY);
const ephemeralOnHost = () =>
  podOnHost(syncer.host, KEY)?.spec?.ephemeralContainers?.map(({ name }) => name) ?? [];
const writesTo = (subresource: string) =>
  syncer.host.writes().filter((request) => request.subresource === subresource);

async function running(): Promise<SyncerHarness> {
  syncer = await startSyncer();
  syncer.virtual.put(PODS, podNamed(KEY));
  await vi.waitFor(() => expect(podOnHost(syncer.host, KEY)).toBeDefined());
  place(syncer.host, KEY);
  start(syncer.host, KEY);
  await vi.waitFor(() => expect(podInside()?.status?.phase).toBe('Running'));
  return syncer;
}

const addEphemeral = (...containers: EphemeralContainer[]) =>
  syncer.virtual.change<Pod>(PODS, KEY, ({ spec }) => {
    if (spec) spec.ephemeralContainers = [...(spec.ephemeralContainers ?? []), ...containers];
  });
const resize = (cpu: string) =>
  syncer.virtual.change<Pod>(PODS, KEY, ({ spec }) => {
    const [app] = spec?.containers ?? [];
    if (app) app.resources = { requests: { cpu } };
  });

describe('ephemeral containers', () => {
  it('wait for what they refer to, and are written once', async () => {
    await running();
    syncer.virtual.put<ConfigMap>(CONFIG_MAPS, {
      metadata: { namespace: 'default', name: 'tools' },
      data: {},
    });
    const envFrom = [{ configMapRef: { name: 'tools' } }];
    addEphemeral({ name: 'debug', envFrom });
    await vi.waitFor(() => expect(ephemeralOnHost()).toEqual(['debug']));
    expect(configMapOnHost(syncer.host, 'default/tools')).toBeDefined();
    await syncer.quiet();
    expect(writesTo('ephemeralcontainers')).toHaveLength(1);
  });

  it('that are refused make no request, and leave the pod and the others alone (T3)', async () => {
    await running();
    const { uid } = podOnHost(syncer.host, KEY)?.metadata ?? {};
    addEphemeral({ name: 'root', securityContext: { privileged: true } });
    await vi.waitFor(() => expect(eventsInside()).toHaveLength(1));
    expect(eventsInside()[0]).toMatch(/^spec\.ephemeralContainers\[0\]\.securityContext\.privileged/);
    await syncer.quiet();
    expect(writesTo('ephemeralcontainers')).toEqual([]);
    addEphemeral({ name: 'debug' });
    await vi.waitFor(() => expect(ephemeralOnHost()).toEqual(['debug']));
    expect(podOnHost(syncer.host, KEY)?.metadata.uid).toBe(uid);
    expect(eventsInside()).toHaveLength(1);
  });
});

describe('a resize', () => {
  it('that the host refuses keeps no other change and no news from arriving', async () => {
    await running();
    syncer.host.intercept = ({ subresource }) => {
      if (subresource !== 'resize') return;
      throw new KubeError({ status: 403, reason: 'Forbidden', message: 'exceeded quota' });
    };
    resize('9');
    await vi.waitFor(() => expect(eventsInside()).toEqual(['exceeded quota']));
    addEphemeral({ name: 'debug' });
    await vi.waitFor(() => expect(ephemeralOnHost()).toEqual(['debug']));
    syncer.host.change<Pod>(PODS, hostKey('pods', KEY), ({ status }) => {
      if (status) status.phase = 'Succeeded';
    });
    await vi.waitFor(() => expect(podInside()?.status?.phase).toBe('Succeeded'));
    syncer.host.intercept = undefined;
    await vi.waitFor(
      () =>
        expect(podOnHost(syncer.host, KEY)?.spec?.containers[0]?.resources).toEqual({
          requests: { cpu: '9' },
        }),
      { timeout: 10_000 },
    );
  });
});

describe('a creation whose answer is lost', () => {
  it('is found, and not made again (F12)', async () => {
    syncer = await startSyncer();
    const { create } = syncer.host.client;
    let lost = 0;
    syncer.host.client.create = async <T extends KubeObject>(...request: Parameters<typeof create<T>>) => {
      const created = await create<T>(...request);
      if (request[0] !== PODS || lost++ > 0) return created;
      throw new UnavailableError({ code: 'Reset', message: 'the connection broke' });
    };
    syncer.virtual.put(PODS, podNamed(KEY));
    await vi.waitFor(() => expect(podOnHost(syncer.host, KEY)).toBeDefined());
    place(syncer.host, KEY);
    start(syncer.host, KEY);
    await vi.waitFor(() => expect(podInside()?.status?.phase).toBe('Running'));
    expect(syncer.host.list(PODS)).toHaveLength(1);
    expect(eventsInside()).toEqual([]);
  });
});
