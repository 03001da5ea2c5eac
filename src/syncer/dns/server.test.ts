import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type Answer, type DecodedPacket, decode, encode, type Packet, RECURSION_DESIRED } from 'dns-packet';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createStore } from '../../kube/store.ts';
import type { EndpointSlice, Namespace, Service } from '../objects.ts';
import { serviceKeyOf } from './cluster-records.ts';
import type { Upstream } from './resolv-conf.ts';
import type { DnsRules } from './rules.ts';
import { createDnsServer, type DnsServer } from './server.ts';
import { framed, unframed } from './upstream-exchange.ts';

const HOST = '127.0.0.1';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const HEADLESS_PODS = 60;

function zoneStores() {
  const services = createStore<Service>({ indexers: { byClusterIp: ({ spec }) => spec?.clusterIPs ?? [] } });
  const endpointSlices = createStore<EndpointSlice>({
    indexers: { byService: (slice) => [serviceKeyOf(slice) ?? ''], byAddress: () => [] },
  });
  const namespaces = createStore<Namespace>();
  namespaces.replace([{ metadata: { name: 'shop' } }]);
  services.replace([
    {
      metadata: { namespace: 'shop', name: 'web' },
      spec: { clusterIP: '10.96.0.20', clusterIPs: ['10.96.0.20'], ports: [{ name: 'http', port: 80 }] },
    },
    { metadata: { namespace: 'shop', name: 'many' }, spec: { clusterIP: 'None' } },
    {
      metadata: { namespace: 'shop', name: 'out' },
      spec: { type: 'ExternalName', externalName: 'example.com' },
    },
  ]);
  endpointSlices.replace([
    {
      metadata: { namespace: 'shop', name: 'many-1', labels: { 'kubernetes.io/service-name': 'many' } },
      addressType: 'IPv4',
      endpoints: Array.from({ length: HEADLESS_PODS }, (_, n) => ({ addresses: [`10.244.1.${n}`] })),
    },
  ]);
  return { services, endpointSlices, namespaces };
}

async function serve(
  upstreams: Upstream[] = [],
  hasSynced = () => true,
  rules: Partial<DnsRules> = {},
): Promise<DnsServer> {
  const server = await createDnsServer({
    zone: { domain: 'cluster.local', ttlSeconds: 5, serial: 1 },
    rules: { hosts: {}, stubDomains: {}, hostServices: [], ...rules },
    hostServiceAddresses: (name) => (name === 'db.shared.svc.cluster.local' ? ['10.96.7.7'] : undefined),
    deniedCidrs: ['203.0.113.0/24', '2001:db8:9::/48'],
    stores: zoneStores(),
    hasSynced,
    upstreams,
    logger: pino({ level: 'silent' }),
  }).listen({ host: HOST, port: 0 });
  cleanups.push(() => server.close());
  return server;
}

/** A resolver of the outside world, on UDP and TCP. `respond` gives undefined to stay silent. */
async function upstream(respond: (query: DecodedPacket, protocol: 'udp' | 'tcp') => Packet | undefined) {
  const seen: string[] = [];
  const handle = (message: Buffer, protocol: 'udp' | 'tcp') => {
    const query = decode(message);
    seen.push(`${protocol} ${query.questions?.[0]?.name}`);
    const response = respond(query, protocol);
    return response && encode({ type: 'response', id: query.id, questions: query.questions, ...response });
  };
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const message of unframed(chunk).messages) {
        const response = handle(message, 'tcp');
        if (response) socket.write(framed(response));
      }
    });
  }).listen(0, HOST);
  await once(tcp, 'listening');
  const address = tcp.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    const response = handle(message, 'udp');
    if (response) udp.send(response, from.port, from.address);
  });
  udp.bind(port, HOST);
  await once(udp, 'listening');
  cleanups.push(() => {
    udp.close();
    tcp.close();
  });
  return { address: HOST, port, seen };
}

const A = (name: string, data: string, ttl = 30): Answer => ({ type: 'A', name, ttl, data });

let nextId = 1;
function query(name: string, packet: Packet = {}): Packet {
  return {
    type: 'query',
    id: nextId++,
    flags: RECURSION_DESIRED,
    questions: [{ type: 'A', name, class: 'IN' }],
    ...packet,
  };
}

async function udpRaw(port: number, message: Buffer, timeoutMs = 6000): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    socket.send(message, port, HOST);
    const [response] = await once(socket, 'message', { signal: AbortSignal.timeout(timeoutMs) });
    return response as Buffer;
  } finally {
    socket.close();
  }
}

const rcode = (message: Buffer) => message.readUInt8(3) & 0x0f;

async function udp(port: number, packet: Packet, timeoutMs?: number) {
  const raw = await udpRaw(port, encode(packet), timeoutMs);
  return { ...decode(raw), code: rcode(raw), bytes: raw.length };
}

async function tcp(port: number, ...packets: Packet[]) {
  const socket = connect(port, HOST);
  cleanups.push(() => socket.destroy());
  for (const packet of packets) socket.write(framed(encode(packet)));
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk]);
    const { messages } = unframed(received);
    if (messages.length === packets.length) return messages.map((message) => decode(message));
  }
  throw new Error('closed before everything was answered');
}

const edns = (udpPayloadSize: number): Answer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
});

const addresses = ({ answers = [] }: Packet) =>
  answers.flatMap((record) => (record.type === 'A' ? [record.data] : []));

describe('names of the cluster', () => {
  let port: number;
  beforeEach(async () => {
    port = (await serve()).port;
  });

  it('are answered with authority, over UDP and TCP', async () => {
    const name = 'web.shop.svc.cluster.local';
    const answered = await udp(port, query(name, { id: 77 }));
    expect(answered).toMatchObject({ id: 77, flag_aa: true, flag_ra: true, flag_rd: true, code: 0 });
    expect(addresses(answered)).toEqual(['10.96.0.20']);
    const [overTcp] = await tcp(port, query(name));
    expect(addresses(overTcp ?? {})).toEqual(['10.96.0.20']);
  });

  it('that are missing are denied with the SOA that says how long to remember it', async () => {
    const answered = await udp(port, query('nothing.shop.svc.cluster.local'));
    expect(answered).toMatchObject({ code: 3, flag_aa: true });
    expect(answered.authorities).toMatchObject([
      { type: 'SOA', name: 'cluster.local', ttl: 5, data: { minimum: 5 } },
    ]);
  });

  it('with many addresses are cut to 512 bytes over UDP, and whole over TCP', async () => {
    const name = 'many.shop.svc.cluster.local';
    const cut = await udp(port, query(name));
    expect(cut.flag_tc).toBe(true);
    expect(cut.bytes).toBeLessThanOrEqual(512);
    const [whole] = await tcp(port, query(name));
    expect(addresses(whole ?? {})).toHaveLength(HEADLESS_PODS);
    expect(whole?.flag_tc).toBe(false);
  });

  it('use the room a client offers by EDNS, but no more than crosses any network in one piece', async () => {
    const name = 'many.shop.svc.cluster.local';
    const cut = await udp(port, query(name, { additionals: [edns(65_000)] }));
    expect(cut.bytes).toBeGreaterThan(512);
    expect(cut.bytes).toBeLessThanOrEqual(1232);
    expect(cut.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }]);
  });

  it('with several addresses take turns in being first', async () => {
    const firsts = new Set<string | undefined>();
    for (let n = 0; n < 3; n++) {
      const [answered] = await tcp(port, query('many.shop.svc.cluster.local'));
      firsts.add(addresses(answered ?? {})[0]);
    }
    expect(firsts.size).toBe(3);
  });

  it('are answered one after the other on one TCP connection', async () => {
    const answered = await tcp(
      port,
      query('web.shop.svc.cluster.local', { id: 1 }),
      query('nothing.shop.svc.cluster.local', { id: 2 }),
    );
    expect(answered.map(({ id }) => id)).toEqual([1, 2]);
  });
});

describe('before the stores are filled', () => {
  it('names of the cluster fail instead of being denied', async () => {
    const { port } = await serve([], () => false);
    expect(await udp(port, query('web.shop.svc.cluster.local'))).toMatchObject({ code: 2 });
  });
});

describe('names outside', () => {
  it('are refused when there is no upstream', async () => {
    const { port } = await serve();
    expect(await udp(port, query('example.com'))).toMatchObject({ code: 5 });
  });

  it('are asked of the upstream and remembered, whatever the id and the letters of the next question', async () => {
    const outside = await upstream(() => ({ answers: [A('example.com', '192.0.2.1')] }));
    const { port } = await serve([outside]);
    const first = await udp(port, query('example.com', { id: 4242 }));
    expect(first).toMatchObject({ id: 4242 });
    expect(addresses(first)).toEqual(['192.0.2.1']);
    const again = await udp(port, query('EXAMPLE.com', { id: 4243 }));
    expect(again).toMatchObject({ id: 4243, questions: [{ name: 'EXAMPLE.com' }] });
    expect(addresses(again)).toEqual(['192.0.2.1']);
    expect(outside.seen).toHaveLength(1);
  });

  it('go over TCP when the client came by TCP', async () => {
    const outside = await upstream(() => ({ answers: [A('example.com', '192.0.2.1')] }));
    const { port } = await serve([outside]);
    await tcp(port, query('example.com'));
    expect(outside.seen).toEqual(['tcp example.com']);
  });

  it('are asked of the next upstream when one is silent or fails', async () => {
    const silent = await upstream(() => undefined);
    const failing = await upstream(() => ({ flags: 2 }));
    const working = await upstream(() => ({ answers: [A('example.com', '192.0.2.3')] }));
    const { port } = await serve([silent, failing, working]);
    expect(addresses(await udp(port, query('example.com')))).toEqual(['192.0.2.3']);
  });

  it('fail before the client gives up when no upstream answers', async () => {
    const silent = await upstream(() => undefined);
    const { port } = await serve([silent, silent, silent]);
    // A stub resolver waits for five seconds.
    expect(await udp(port, query('example.com'), 5000)).toMatchObject({ code: 2 });
  }, 10_000);

  it('take no answer to another question', async () => {
    const forged = await upstream(() => ({
      questions: [{ type: 'A', name: 'evil.example', class: 'IN' }],
      answers: [A('evil.example', '192.0.2.66')],
    }));
    const { port } = await serve([forged]);
    expect(await udp(port, query('example.com'))).toMatchObject({ code: 2, answers: [] });
  });

  it('never include the cluster domain', async () => {
    const outside = await upstream(() => ({ answers: [] }));
    const { port } = await serve([outside]);
    await udp(port, query('secret.other.svc.Cluster.Local'));
    expect(outside.seen).toEqual([]);
  });
});

describe('an ExternalName outside', () => {
  it('is answered with the alias and what the upstream says of its target', async () => {
    const outside = await upstream((_, protocol) =>
      protocol === 'udp' ? { flags: 1 << 9 } : { answers: [A('example.com', '192.0.2.1')] },
    );
    const { port } = await serve([outside]);
    const answered = await udp(port, query('out.shop.svc.cluster.local'));
    expect(answered.answers).toMatchObject([
      { type: 'CNAME', data: 'example.com' },
      { type: 'A', name: 'example.com', data: '192.0.2.1' },
    ]);
    expect(outside.seen).toEqual(['udp example.com', 'tcp example.com']);
  });
});

describe('what the operator adds', () => {
  it('is answered before anybody is asked', async () => {
    const outside = await upstream(() => ({ answers: [] }));
    const rules = { hosts: { 'db.example.com': ['192.0.2.7'] } };
    const { port } = await serve([outside], () => true, rules);
    expect((await udp(port, query('db.example.com'))).answers).toMatchObject([{ data: '192.0.2.7' }]);
    const shared = await udp(port, query('db.shared.svc.cluster.local'));
    expect(shared.answers).toMatchObject([{ data: '10.96.7.7' }]);
    expect(outside.seen).toEqual([]);
  });

  it('sends a domain and all below it to servers of its own, the closest ones, aliases too', async () => {
    const answering = (data: string) =>
      upstream(({ questions }) => ({ answers: [A(questions?.[0]?.name ?? '', data)] }));
    const [outside, corp, lab, reverse] = await Promise.all(
      ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'].map(answering),
    );
    if (!outside || !corp || !lab || !reverse) throw new Error('no upstream');
    const stubDomains = {
      'corp.example.com': [corp],
      'lab.corp.example.com': [lab],
      'example.com': [lab],
      '10.in-addr.arpa': [reverse],
    };
    const { port } = await serve([outside], () => true, { stubDomains });
    const asked = async (name: string) => (await udp(port, query(name))).answers?.at(-1);
    expect(await asked('corp.example.com')).toMatchObject({ data: '192.0.2.2' });
    expect(await asked('a.b.Corp.example.com')).toMatchObject({ data: '192.0.2.2' });
    expect(await asked('a.lab.corp.example.com')).toMatchObject({ data: '192.0.2.3' });
    expect(await asked('notcorp.example.org')).toMatchObject({ data: '192.0.2.1' });
    expect(await asked('out.shop.svc.cluster.local')).toMatchObject({ data: '192.0.2.3' });
    expect(await asked('1.0.0.10.in-addr.arpa')).toMatchObject({ data: '192.0.2.4' });
  });
});

describe('private addresses (T32)', () => {
  it.each([
    '1.0.96.10.in-addr.arpa',
    '96.10.in-addr.arpa',
    '1.2.168.192.in-addr.arpa',
    '9.113.0.203.in-addr.arpa',
    `${'1.'.repeat(20)}9.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa`,
    `1.${'0.'.repeat(31)}ip6.arpa`,
  ])('are never asked about outside, for the host’s resolver knows other tenants: %s', async (name) => {
    const outside = await upstream(() => ({ answers: [] }));
    const { port } = await serve([outside]);
    const questions = [{ type: 'PTR' as const, name, class: 'IN' as const }];
    const { answers, authorities } = await udp(port, query(name, { questions }));
    expect(answers).toEqual([]);
    expect(authorities).toMatchObject([{ type: 'SOA' }]);
    expect(outside.seen).toEqual([]);
  });
});

describe('messages that are no ordinary query', () => {
  it.each([
    ['garbage', Buffer.from([0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 1]), 1],
    ['no question', encode({ type: 'query', id: 9 }), 1],
    ['a name that is not text', encode(query('w\u00e9b.shop.svc.cluster.local')), 1],
    ['a zone transfer', encode(query('x', { questions: [{ type: 'AXFR', name: 'cluster.local' }] })), 5],
    [
      'another class',
      encode(query('x', { questions: [{ type: 'TXT', class: 'CH', name: 'version.bind' }] })),
      5,
    ],
    ['another operation', encode(query('cluster.local', { flags: 4 << 11 })), 4],
  ])('%s is answered with an error', async (_, message, expected) => {
    const { port } = await serve();
    expect(rcode(await udpRaw(port, message))).toBe(expected);
  });

  it('a later version of EDNS is answered with the one that is known', async () => {
    const { port } = await serve();
    const additionals = [{ ...edns(1232), ednsVersion: 1 } as Answer];
    const response = await udp(port, query('web.shop.svc.cluster.local', { additionals }));
    expect(response.answers).toEqual([]);
    expect(response.additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1, ednsVersion: 0 }]);
  });

  it('responses are left alone', async () => {
    const { port } = await serve();
    const socket = createSocket('udp4');
    cleanups.push(() => socket.close());
    const answers: Buffer[] = [];
    socket.on('message', (message) => answers.push(message));
    socket.send(encode({ ...query('web.shop.svc.cluster.local'), type: 'response' }), port, HOST);
    const probe = encode(query('web.shop.svc.cluster.local', { id: 5 }));
    socket.send(probe, port, HOST);
    await expect.poll(() => answers.length).toBe(1);
    expect(answers[0]?.readUInt16BE(0)).toBe(5);
  });
});
