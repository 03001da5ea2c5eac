// The cluster's DNS as its pods ask it, on a host with other tenants: what it answers by itself, by the operator's word, and not
// at all.
import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { decode, encode } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PODS, SERVICES } from '../../../src/kube/resource.ts';
import type { Pod, Service, ServiceSpec } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import {
  call,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

const MACHINE_ADDRESS = process.env.MAYFLY_MACHINE_ADDRESS ?? '172.30.0.1';
const DOMAIN = 'svc.cluster.local';
const named = (name: string) => ({ namespace: 'default', name });

let host: ClusterAccess;
let infra: TestNamespace;
let cluster: SyncedCluster;
let resolver: Resolver;
/** A server of the outside, and what it was asked. It knows every name. */
let outside: Socket;
const asked: string[] = [];

beforeAll(async () => {
  outside = createSocket('udp4');
  outside.on('message', (message, { port, address }) => {
    const { id, questions = [] } = decode(message);
    const name = questions[0]?.name ?? '';
    asked.push(name);
    const answers = [{ type: 'A' as const, name, ttl: 5, data: '192.0.2.99' }];
    outside.send(encode({ type: 'response', id, questions, answers }), port, address);
  });
  outside.bind(0, MACHINE_ADDRESS);
  await once(outside, 'listening');
  host = await clusterAccess();
  infra = await createTestNamespace('dns-infra');
  cluster = await startSyncedCluster('dns', {
    'dns.hosts.db\\.example\\.com[0]': '192.0.2.7',
    'dns.stubDomains.local[0]': `${MACHINE_ADDRESS}:${outside.address().port}`,
    'dns.hostServices[0].name': `db.shared.${DOMAIN}`,
    'dns.hostServices[0].service': `${infra.namespace}/db`,
  });
  const dns = await host.client.get<Service>(
    SERVICES,
    { namespace: cluster.hostNamespace, name: 'dns-dns' },
    call(),
  );
  resolver = new Resolver({ timeout: 5_000, tries: 2 });
  resolver.setServers([dns.spec?.clusterIP ?? '']);
});
afterAll(async () => {
  await cluster?.remove();
  await infra?.remove();
  await host?.client.close();
  outside?.close();
});

const inside = () => cluster.inside.client;
const serviceInside = (name: string, spec: ServiceSpec) =>
  inside().create<Service>(SERVICES, { metadata: named(name), spec }, call());
/** The code of the answer where there are no records: NXDOMAIN is ENOTFOUND, NODATA is ENODATA. */
const answerOf = <T>(answer: Promise<T>) => answer.catch(({ code }: { code?: string }) => code);
const until = <T>(ask: () => Promise<T>, accept: (answer: T) => boolean, what: string) =>
  eventually(async () => {
    const answer = await ask();
    return accept(answer) ? answer : undefined;
  }, within(what));

describe('names of the cluster', () => {
  it('are those of Services, by address, port and in reverse', async () => {
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
    const { spec } = await serviceInside('web', { selector: { app: 'web' }, ports });
    const address = spec?.clusterIP ?? '';
    const name = `web.default.${DOMAIN}`;
    await until(
      () => answerOf(resolver.resolve4(name)),
      (answer) => String(answer) === address,
      'the Service is found',
    );
    expect(await resolver.resolveSrv(`_http._tcp.${name}`)).toMatchObject([{ name, port: 80 }]);
    expect(await resolver.reverse(address)).toEqual([name]);
    expect(await answerOf(resolver.resolve6(name))).toBe('ENODATA');
    expect(await answerOf(resolver.resolve4(`none.default.${DOMAIN}`))).toBe('ENOTFOUND');
    expect(await resolver.resolve4('10-1-2-3.default.pod.cluster.local')).toEqual(['10.1.2.3']);
  });

  it('are those of the pods of a headless Service, ready or not where it says so', async () => {
    await serviceInside('db', {
      clusterIP: 'None',
      selector: { app: 'db-0' },
      ports: [{ name: 'sql', port: 5432 }],
      publishNotReadyAddresses: true,
    });
    const pod = sleeper(named('db-0'), { hostname: 'db-0', subdomain: 'db' });
    const [container] = pod.spec?.containers ?? [];
    if (container) container.readinessProbe = { exec: { command: ['false'] } };
    await inside().create<Pod>(PODS, pod, call());
    const name = `db-0.db.default.${DOMAIN}`;
    const [address = ''] = (await until(
      () => answerOf(resolver.resolve4(name)),
      (answer) => Array.isArray(answer),
      'the pod is found',
    )) as string[];
    const { status } = (await cluster.find<Pod>(PODS, named('db-0'))) ?? {};
    expect(status?.podIP).toBe(address);
    expect(await resolver.resolveSrv(`_sql._tcp.db.default.${DOMAIN}`)).toMatchObject([{ name, port: 5432 }]);
    expect(await resolver.reverse(address)).toEqual([name]);
  });

  it('may be aliases, inside, outside, and of what the operator gives', async () => {
    await serviceInside('to-web', { type: 'ExternalName', externalName: `web.default.${DOMAIN}` });
    await serviceInside('to-out', { type: 'ExternalName', externalName: 'printer.local' });
    await serviceInside('to-given', { type: 'ExternalName', externalName: 'db.example.com' });
    const follow = (name: string) =>
      until(
        () => answerOf(resolver.resolve4(`${name}.default.${DOMAIN}`)),
        (answer) => Array.isArray(answer),
        `${name} is found`,
      );
    expect(await follow('to-web')).toEqual(await resolver.resolve4(`web.default.${DOMAIN}`));
    expect(await follow('to-out')).toEqual(['192.0.2.99']);
    expect(await follow('to-given')).toEqual(['192.0.2.7']);
    expect(await resolver.resolveCname(`to-out.default.${DOMAIN}`)).toEqual(['printer.local']);
  });

  it('are found by pods with the search path of the cluster, and none of the host (T32)', async () => {
    await inside().create<Pod>(PODS, sleeper(named('asks')), call());
    const { kubectl } = cluster.inside;
    await kubectl(['wait', '--for=condition=Ready', 'pod/asks', '--timeout=60s']);
    const config = await kubectl(['exec', 'asks', '--', 'cat', '/etc/resolv.conf']);
    expect(config.match(/^search .*$/m)?.[0]).toBe(`search default.${DOMAIN} ${DOMAIN} cluster.local`);
    expect(config.match(/^nameserver .*$/gm)).toEqual([`nameserver ${resolver.getServers()[0]}`]);
  });
});

describe('names of the host and of other tenants', () => {
  it('do not exist, and nobody is asked about them (T32)', async () => {
    const other = await host.client.create<Service>(
      SERVICES,
      { metadata: { namespace: infra.namespace, name: 'other' }, spec: { ports: [{ port: 80 }] } },
      call(),
    );
    const apiOfHost = await host.client.get<Service>(SERVICES, named('kubernetes'), call());
    asked.length = 0;
    expect(await answerOf(resolver.resolve4(`other.${infra.namespace}.${DOMAIN}`))).toBe('ENOTFOUND');
    for (const address of [other.spec?.clusterIP, apiOfHost.spec?.clusterIP, '10.244.0.2', '172.30.0.11'])
      expect(await answerOf(resolver.reverse(address ?? ''))).toBe('ENOTFOUND');
    const [api] = await resolver.resolve4(`kubernetes.default.${DOMAIN}`);
    expect(api).not.toBe(apiOfHost.spec?.clusterIP);
    expect(api).toBe((await cluster.find<Service>(SERVICES, named('kubernetes')))?.spec?.clusterIP);
    // Its own server for `local`, which the cluster domain is below, was asked about nothing of it.
    expect(asked).toEqual([]);
    expect(await resolver.resolve4('scanner.local')).toEqual(['192.0.2.99']);
    expect(asked).toEqual(['scanner.local']);
  });

  it('are shown where the operator maps them, as long as the host has them', async () => {
    const name = `db.shared.${DOMAIN}`;
    const place = { namespace: infra.namespace, name: 'db' };
    expect(await answerOf(resolver.resolve4(name))).toBe('ENODATA');
    const { spec } = await host.client.create<Service>(
      SERVICES,
      { metadata: place, spec: { ports: [{ port: 5432 }] } },
      call(),
    );
    await until(
      () => answerOf(resolver.resolve4(name)),
      (answer) => String(answer) === spec?.clusterIP,
      'the Service of the host is found',
    );
    await host.client.delete(SERVICES, place, call());
    await until(
      () => answerOf(resolver.resolve4(name)),
      (answer) => answer === 'ENODATA',
      'the Service of the host is forgotten',
    );
  });
});
