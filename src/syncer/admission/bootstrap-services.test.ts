import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryKube } from '../../../test/support/memory-kube.ts';
import { KubeError } from '../../kube/errors.ts';
import { type KubeObject, type ResourceType, SERVICES } from '../../kube/resource.ts';
import { systemClock } from '../../lib/clock.ts';
import type { EndpointSlice, Service } from '../objects.ts';
import { type BootstrapDeps, bootstrapServices } from './bootstrap-services.ts';

const API = { namespace: 'default', name: 'kubernetes' };
const DNS = { namespace: 'kube-system', name: 'kube-dns' };
const signal = AbortSignal.timeout(10_000);
const clock = { ...systemClock, sleep: async () => {} };

let memory: ReturnType<typeof createMemoryKube>;
let slices: EndpointSlice[];
let deps: BootstrapDeps;
beforeEach(() => {
  memory = createMemoryKube();
  slices = [];
  deps = {
    client: {
      ...memory,
      async apply<T extends KubeObject>(_: ResourceType, object: T) {
        slices.push(object as KubeObject as EndpointSlice);
        return object;
      },
    },
    api: { clusterIp: '10.96.7.1', port: 443, targetPort: 6443 },
    dns: { clusterIp: '10.96.7.2' },
    podIp: '10.112.1.9',
    clock,
  };
});

const read = (name: typeof API) => memory.get<Service>(SERVICES, name, { signal });
const made = (clusterIP: string): Service => ({ metadata: { ...API }, spec: { clusterIP } });

describe('the Services a cluster is born with', () => {
  it('are made with the addresses of the chart’s host Services', async () => {
    await bootstrapServices(deps, signal);
    expect((await read(API)).spec).toMatchObject({
      clusterIP: '10.96.7.1',
      ports: [{ name: 'https', port: 443, targetPort: 6443 }],
    });
    expect((await read(DNS)).spec).toMatchObject({
      clusterIP: '10.96.7.2',
      ports: [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ],
    });
  });

  it('are left alone when they have them', async () => {
    await bootstrapServices(deps, signal);
    const before = await read(API);
    await bootstrapServices(deps, signal);
    expect((await read(API)).metadata.uid).toBe(before.metadata.uid);
  });

  it('replace the one that kube-apiserver made with the first address of the range', async () => {
    await memory.create(SERVICES, made('10.96.0.1'), { signal });
    await bootstrapServices(deps, signal);
    expect((await read(API)).spec?.clusterIP).toBe('10.96.7.1');
  });

  it('are tried again when kube-apiserver makes its own in between', async () => {
    let raced = false;
    const create: BootstrapDeps['client']['create'] = async (type, object, options) => {
      if (object.metadata.name === API.name && !raced) {
        raced = true;
        await memory.create(SERVICES, made('10.96.0.1'), { signal });
      }
      return memory.create(type, object, options);
    };
    await bootstrapServices({ ...deps, client: { ...deps.client, create } }, signal);
    expect((await read(API)).spec?.clusterIP).toBe('10.96.7.1');
  });

  it('wait for their namespace', async () => {
    let refusals = 3;
    const create: BootstrapDeps['client']['create'] = async (type, object, options) => {
      if (object.metadata.namespace === 'kube-system' && refusals-- > 0) {
        throw new KubeError({
          status: 404,
          reason: 'NotFound',
          message: 'namespaces "kube-system" not found',
        });
      }
      return memory.create(type, object, options);
    };
    await bootstrapServices({ ...deps, client: { ...deps.client, create } }, signal);
    expect((await read(DNS)).spec?.clusterIP).toBe('10.96.7.2');
  });

  it('fail at once when the address is refused', async () => {
    let tries = 0;
    const create: BootstrapDeps['client']['create'] = async () => {
      tries++;
      throw new KubeError({
        status: 422,
        reason: 'Invalid',
        message: 'provided IP is not in the valid range',
      });
    };
    await expect(bootstrapServices({ ...deps, client: { ...deps.client, create } }, signal)).rejects.toThrow(
      /range/,
    );
    expect(tries).toBe(2);
  });

  it('have the syncer’s pod as the endpoint of DNS, whatever its address is this time', async () => {
    await bootstrapServices(deps, signal);
    await bootstrapServices({ ...deps, podIp: 'fd00::9' }, signal);
    expect(slices.map(({ addressType, endpoints }) => [addressType, endpoints?.[0]?.addresses])).toEqual([
      ['IPv4', ['10.112.1.9']],
      ['IPv6', ['fd00::9']],
    ]);
    expect(slices[0]?.metadata.labels).toMatchObject({ 'kubernetes.io/service-name': 'kube-dns' });
  });
});
