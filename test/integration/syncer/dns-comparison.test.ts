// The same Services in a namespace of the host and in one of the same name inside: the cluster's DNS answers about the one what
// upstream's CoreDNS answers about the other. Left out is what CoreDNS gets wrong by the standards: it denies names that have names
// below them (`_tcp.web`) or records of another type (TXT), and leaves an alias out where its target has nothing to say.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Answer, decode, encode, RECURSION_DESIRED, type RecordType } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENDPOINT_SLICES, NAMESPACES, SERVICES } from '../../../src/kube/resource.ts';
import type { EndpointSlice, Service, ServiceSpec } from '../../../src/syncer/objects.ts';
import type { ClusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { call, type SyncedCluster, startSyncedCluster, within } from '../../support/synced-cluster.ts';

const DOMAIN = 'svc.cluster.local';
/** Those of each side are its own. */
const CLUSTER_IP = /\b10\.(?!1\.2\.3\b)[0-9]+\.[0-9]+\.[0-9]+\b/g;
const NAMESPACE_NAME = /\bsame-[0-9a-f]+\b/g;

let place: TestNamespace;
let cluster: SyncedCluster;
/** Addresses of both name servers, and of `web` as each knows it. */
let servers: { ours: Server; upstream: Server };

interface Server {
  address: string;
  web: string;
}

const SERVICES_THERE: Record<string, ServiceSpec> = {
  web: {
    ports: [
      { name: 'http', port: 80 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  },
  unnamed: { ports: [{ port: 80 }] },
  db: { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] },
  bare: { clusterIP: 'None' },
  empty: { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] },
  address: { type: 'ExternalName', externalName: '192.0.2.1' },
};
const sliceOf = (
  service: string,
  port: string | undefined,
  endpoints: EndpointSlice['endpoints'],
): EndpointSlice => ({
  metadata: { name: `${service}-1`, labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  endpoints,
  ports: port ? [{ name: port, port: 8080, protocol: 'TCP' }] : [],
});
const ready = { ready: true };
const SLICES = [
  sliceOf('web', 'http', [{ addresses: ['198.51.100.1'], hostname: 'blue', conditions: ready }]),
  sliceOf('db', 'sql', [
    { addresses: ['198.51.100.2'], hostname: 'db-0', conditions: ready },
    { addresses: ['198.51.100.3'], conditions: ready },
    { addresses: ['198.51.100.4'], hostname: 'db-2', conditions: { ready: false } },
  ]),
  sliceOf('bare', undefined, [{ addresses: ['198.51.100.5'], conditions: ready }]),
];

async function fill({ client }: Pick<ClusterAccess, 'client'>): Promise<void> {
  const { namespace } = place;
  const all = {
    ...SERVICES_THERE,
    alias: { type: 'ExternalName', externalName: `web.${namespace}.${DOMAIN}` },
  };
  for (const [name, spec] of Object.entries(all))
    await client.create<Service>(SERVICES, { metadata: { namespace, name }, spec }, call());
  for (const slice of SLICES)
    await client.create<EndpointSlice>(
      ENDPOINT_SLICES,
      { ...slice, metadata: { ...slice.metadata, namespace } },
      call(),
    );
}

async function serverOf(
  client: ClusterAccess['client'],
  dns: { namespace: string; name: string },
  of: ClusterAccess['client'],
) {
  const ipOf = async (from: typeof client, name: { namespace: string; name: string }) =>
    (await from.get<Service>(SERVICES, name, call())).spec?.clusterIP ?? '';
  const web = await ipOf(of, { namespace: place.namespace, name: 'web' });
  return { address: await ipOf(client, dns), web };
}

beforeAll(async () => {
  place = await createTestNamespace('same');
  cluster = await startSyncedCluster('compared');
  const { host, inside, hostNamespace } = cluster;
  await inside.client.create(NAMESPACES, { metadata: { name: place.namespace } }, call());
  await fill(host);
  await fill(inside);
  const ours = { namespace: hostNamespace, name: 'compared-dns' };
  servers = {
    ours: await serverOf(host.client, ours, inside.client),
    upstream: await serverOf(host.client, { namespace: 'kube-system', name: 'kube-dns' }, host.client),
  };
  for (const server of Object.values(servers))
    await eventually(
      async () =>
        (await ask(server, `db-0.db.${place.namespace}.${DOMAIN}`, 'A')).records.length > 0 &&
        (await ask(server, `bare.${place.namespace}.${DOMAIN}`, 'A')).records.length > 0
          ? true
          : undefined,
      within('the endpoints are known'),
    );
});
afterAll(async () => {
  await cluster?.remove();
  await place?.remove();
});

/** What a name server says, in words that do not tell where. */
async function ask({ address }: Server, name: string, type: RecordType) {
  const socket = createSocket('udp4');
  try {
    const questions = [{ type, name, class: 'IN' as const }];
    socket.send(encode({ type: 'query', id: 7, flags: RECURSION_DESIRED, questions }), 53, address);
    const [message] = await once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
    const response = decode(message as Buffer);
    const text = (record: Answer) => {
      const {
        priority: _,
        weight: __,
        ...data
      } = (
        record.type === 'SRV' ? record.data : { is: 'data' in record ? record.data : undefined }
      ) as Record<string, unknown>;
      const words = [record.type, record.name.toLowerCase(), JSON.stringify(data)].join(' ');
      return words.replace(CLUSTER_IP, '<ip>').replace(NAMESPACE_NAME, '<namespace>');
    };
    return {
      code: (message as Buffer).readUInt8(3) & 0x0f,
      records: (response.answers ?? []).map(text).sort(),
      soa: (response.authorities ?? []).some((record) => record.type === 'SOA'),
    };
  } finally {
    socket.close();
  }
}

const both = async (name: string, type: RecordType) => {
  const reverse = (address: string) => `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const asked = (server: Server) =>
    ask(server, name.replace('<web>', reverse(server.web)).replace('<namespace>', place.namespace), type);
  return { ours: await asked(servers.ours), upstream: await asked(servers.upstream) };
};

describe('our DNS answers what CoreDNS answers', () => {
  const types: RecordType[] = ['A', 'AAAA', 'SRV', 'CNAME'];
  const names = [
    'web',
    'WEB',
    'unnamed',
    'blue.web',
    'red.web',
    '_http._tcp.web',
    '_dns._udp.web',
    '_http._udp.web',
    'db',
    'db-0.db',
    '198-51-100-3.db',
    'db-2.db',
    '_sql._tcp.db',
    'bare',
    '198-51-100-5.bare',
    'empty',
    'x.alias',
    'address',
    'none',
    'a.b.c.web',
  ].map((name) => `${name}.<namespace>.${DOMAIN}`);
  const others = [
    `<namespace>.${DOMAIN}`,
    `web.nowhere.${DOMAIN}`,
    `nowhere.${DOMAIN}`,
    DOMAIN,
    'pod.cluster.local',
    '10-1-2.<namespace>.pod.cluster.local',
    '10-1-2-3.nowhere.pod.cluster.local',
    'cluster.local',
    'other.cluster.local',
  ];

  it.each([...names, ...others])('about %s', async (name) => {
    for (const type of types) {
      const { ours, upstream } = await both(name, type);
      expect.soft({ type, ...ours }).toEqual({ type, ...upstream });
    }
  });

  it.each([
    [`alias.<namespace>.${DOMAIN}`, 'A'],
    [`alias.<namespace>.${DOMAIN}`, 'CNAME'],
    ['10-1-2-3.<namespace>.pod.cluster.local', 'A'],
    ['10-1-2-3.<namespace>.pod.cluster.local', 'AAAA'],
    ['dns-version.cluster.local', 'TXT'],
  ] as const)('about %s, %s', async (name, type) => {
    const { ours, upstream } = await both(name, type);
    expect(ours).toEqual(upstream);
  });

  it.each([
    ['<web>', true],
    ['2.100.51.198.in-addr.arpa', true],
    ['4.100.51.198.in-addr.arpa', false],
  ])('about whose an address is: %s', async (name, isKnown) => {
    const { ours, upstream } = await both(name, 'PTR');
    const told = (records: string[]) => records.map((record) => record.replace(/ \S+arpa /, ' '));
    expect(ours.records).toHaveLength(isKnown ? 1 : 0);
    // The host knows the copies too.
    expect(told(upstream.records)).toEqual(expect.arrayContaining(told(ours.records)));
  });
});
