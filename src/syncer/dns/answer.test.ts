import type { Question } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import { createStore } from '../../kube/store.ts';
import type { EndpointSlice, Namespace, Service } from '../objects.ts';
import { answer, type Zone } from './answer.ts';
import { serviceKeyOf, type ZoneStores } from './cluster-records.ts';

const GIVEN: Record<string, string[]> = {
  'db.example.com': ['192.0.2.7'],
  'db.shared.svc.cluster.local': ['10.96.7.7', 'fd00::7'],
};
const ZONE: Zone = {
  domain: 'cluster.local',
  ttlSeconds: 5,
  serial: 7,
  given: (name) => GIVEN[name],
  isPrivate: (address) => address.startsWith('10.') || address.startsWith('fd'),
};

const service = (name: string, spec: Service['spec']): Service => ({
  metadata: { namespace: 'shop', name },
  spec,
});

const slice = (name: string, ofService: string, rest: Partial<EndpointSlice>): EndpointSlice => ({
  metadata: { namespace: 'shop', name, labels: { 'kubernetes.io/service-name': ofService } },
  addressType: 'IPv4',
  endpoints: [],
  ...rest,
});

function storesOf(services: Service[], slices: EndpointSlice[] = []): ZoneStores {
  const stores = {
    services: createStore<Service>({ indexers: { byClusterIp: ({ spec }) => spec?.clusterIPs ?? [] } }),
    endpointSlices: createStore<EndpointSlice>({
      indexers: {
        byService: (object) => [serviceKeyOf(object) ?? ''],
        byAddress: ({ endpoints }) => [...new Set((endpoints ?? []).flatMap(({ addresses }) => addresses))],
      },
    }),
    namespaces: createStore<Namespace>(),
  };
  stores.services.replace(services);
  stores.endpointSlices.replace(slices);
  stores.namespaces.replace([{ metadata: { name: 'shop' } }]);
  return stores;
}

const WEB = service('web', {
  clusterIP: '10.96.0.20',
  clusterIPs: ['10.96.0.20', 'fd00::20'],
  ports: [
    { name: 'http', port: 80 },
    { name: 'DNS', port: 53, protocol: 'UDP' },
  ],
});
const WEB_SLICE = slice('web-1', 'web', {
  endpoints: [{ addresses: ['10.244.0.9'], hostname: 'blue', conditions: { ready: true } }],
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});
const DB = service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] });
const DB_SLICE = slice('db-1', 'db', {
  endpoints: [
    { addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } },
    { addresses: ['10.244.0.6'] },
    { addresses: ['10.244.0.7'], hostname: 'db-2', conditions: { ready: false } },
  ],
  ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
});

const external = (name: string, externalName: string) =>
  service(name, { type: 'ExternalName', externalName });

const STORES = storesOf(
  [
    WEB,
    DB,
    service('empty', { clusterIP: 'None', ports: [{ name: 'x', port: 1 }] }),
    service('early', { clusterIP: 'None', publishNotReadyAddresses: true }),
    external('outside', 'Example.COM.'),
    external('inside', 'web.shop.svc.cluster.local'),
    external('broken', 'nothing.shop.svc.cluster.local'),
    external('address', '10.0.0.1'),
    external('given', 'db.example.com'),
    external('loop', 'loop.shop.svc.cluster.local'),
  ],
  [
    WEB_SLICE,
    DB_SLICE,
    slice('early-1', 'early', { endpoints: [{ addresses: ['10.244.0.8'], conditions: { ready: false } }] }),
  ],
);

function ask(name: string, type: Question['type'] = 'A') {
  const result = answer({ name, type, class: 'IN' }, ZONE, STORES);
  if (result.kind === 'outside') return { code: 'outside', records: [], soa: false };
  const { code, answers, authorities, additionals, continueWith } = result;
  const text = (record: (typeof answers)[number]) =>
    `${record.name} ${record.type} ${JSON.stringify('data' in record ? record.data : undefined)}`.replaceAll(
      '"',
      '',
    );
  return {
    code,
    records: answers.map(text),
    additionals: additionals.map(text),
    soa: authorities.some(({ type }) => type === 'SOA'),
    continueWith,
  };
}

const NODATA = { code: 'NOERROR', records: [], soa: true };
const NXDOMAIN = { code: 'NXDOMAIN', records: [], soa: true };

describe('a Service with a cluster IP', () => {
  const name = 'web.shop.svc.cluster.local';

  it('has an address record of each family', () => {
    expect(ask(name)).toMatchObject({ code: 'NOERROR', records: [`${name} A 10.96.0.20`], soa: false });
    expect(ask(name, 'AAAA').records).toEqual([`${name} AAAA fd00::20`]);
  });

  it('is found in any mixture of cases, and the answer keeps that of the question', () => {
    expect(ask('WEB.Shop.svc.CLUSTER.local').records).toEqual(['WEB.Shop.svc.CLUSTER.local A 10.96.0.20']);
  });

  it('has no other records, but exists', () => {
    expect(ask(name, 'TXT')).toMatchObject(NODATA);
    expect(ask(name, 'MX')).toMatchObject(NODATA);
  });

  it('has a service record per named port, with the addresses of its target beside it', () => {
    expect(ask(`_http._tcp.${name}`, 'SRV')).toMatchObject({
      records: [`_http._tcp.${name} SRV {priority:0,weight:100,port:80,target:${name}}`],
      additionals: [`${name} A 10.96.0.20`, `${name} AAAA fd00::20`],
    });
    expect(ask(`_dns._udp.${name}`, 'SRV').records).toHaveLength(1);
    expect(ask(name, 'SRV').records).toHaveLength(2);
  });

  it('has no service record of another protocol or port', () => {
    expect(ask(`_http._udp.${name}`, 'SRV')).toMatchObject(NXDOMAIN);
    expect(ask(`_smtp._tcp.${name}`, 'SRV')).toMatchObject(NXDOMAIN);
    expect(ask(`_http._tcp.${name}`, 'A').records).toEqual([`_http._tcp.${name} A 10.96.0.20`]);
  });

  it('has a name above its service records that exists, being an empty non-terminal', () => {
    expect(ask(`_tcp.${name}`)).toMatchObject(NODATA);
    expect(ask(`_sctp.${name}`)).toMatchObject(NXDOMAIN);
  });

  it('is found by its addresses', () => {
    expect(ask('20.0.96.10.in-addr.arpa', 'PTR').records).toEqual([`20.0.96.10.in-addr.arpa PTR ${name}`]);
    const reverse = `${'0.2'.padEnd(3)}.${Array(26).fill('0').join('.')}.0.0.d.f.ip6.arpa`;
    expect(ask(reverse, 'PTR').records).toEqual([`${reverse} PTR ${name}`]);
    expect(ask('20.0.96.10.in-addr.arpa', 'A')).toMatchObject(NODATA);
  });

  it('has its endpoints below it', () => {
    expect(ask(`blue.${name}`).records).toEqual([`blue.${name} A 10.244.0.9`]);
    expect(ask(`green.${name}`)).toMatchObject(NXDOMAIN);
    expect(ask(`a.blue.${name}`)).toMatchObject(NXDOMAIN);
  });
});

describe('an endpoint', () => {
  it('has service records of its own ports', () => {
    const name = 'blue.web.shop.svc.cluster.local';
    expect(ask(name, 'SRV').records).toEqual([
      `${name} SRV {priority:0,weight:100,port:8080,target:${name}}`,
    ]);
  });
});

describe('a headless Service', () => {
  const name = 'db.shop.svc.cluster.local';

  it('has the addresses of its ready endpoints', () => {
    expect(ask(name).records).toEqual([`${name} A 10.244.0.5`, `${name} A 10.244.0.6`]);
    expect(ask(name, 'AAAA')).toMatchObject(NODATA);
  });

  it('has a record per endpoint, by host name or by address', () => {
    expect(ask(`db-0.${name}`).records).toEqual([`db-0.${name} A 10.244.0.5`]);
    expect(ask(`10-244-0-6.${name}`).records).toEqual([`10-244-0-6.${name} A 10.244.0.6`]);
    expect(ask(`db-2.${name}`)).toMatchObject(NXDOMAIN);
  });

  it('has a service record per endpoint and named port', () => {
    expect(ask(`_sql._tcp.${name}`, 'SRV')).toMatchObject({
      records: [
        `_sql._tcp.${name} SRV {priority:0,weight:50,port:5432,target:db-0.${name}}`,
        `_sql._tcp.${name} SRV {priority:0,weight:50,port:5432,target:10-244-0-6.${name}}`,
      ],
      additionals: [`db-0.${name} A 10.244.0.5`, `10-244-0-6.${name} A 10.244.0.6`],
    });
  });

  it('has its endpoints found by their addresses, the ready ones', () => {
    expect(ask('5.0.244.10.in-addr.arpa', 'PTR').records).toEqual([
      `5.0.244.10.in-addr.arpa PTR db-0.${name}`,
    ]);
    expect(ask('7.0.244.10.in-addr.arpa', 'PTR').code).toBe('NXDOMAIN');
  });

  it('does not exist while no endpoint is ready', () => {
    expect(ask('empty.shop.svc.cluster.local')).toMatchObject(NXDOMAIN);
  });

  it('shows endpoints that are not ready when it says so, and needs no ports', () => {
    const early = 'early.shop.svc.cluster.local';
    expect(ask(early).records).toEqual([`${early} A 10.244.0.8`]);
    expect(ask(early, 'SRV')).toMatchObject(NODATA);
  });
});

describe('an ExternalName Service', () => {
  const name = 'outside.shop.svc.cluster.local';

  it('is an alias, whose target outside is to be looked up', () => {
    expect(ask(name)).toMatchObject({
      code: 'NOERROR',
      records: [`${name} CNAME example.com`],
      continueWith: 'example.com',
    });
    expect(ask(name, 'CNAME')).toMatchObject({
      records: [`${name} CNAME example.com`],
      continueWith: undefined,
    });
  });

  it('is followed inside of the domain', () => {
    expect(ask('inside.shop.svc.cluster.local').records).toEqual([
      'inside.shop.svc.cluster.local CNAME web.shop.svc.cluster.local',
      'web.shop.svc.cluster.local A 10.96.0.20',
    ]);
  });

  it('says that its target is missing', () => {
    expect(ask('broken.shop.svc.cluster.local')).toMatchObject({
      code: 'NXDOMAIN',
      records: ['broken.shop.svc.cluster.local CNAME nothing.shop.svc.cluster.local'],
      soa: true,
    });
  });

  it('ends when it points to itself or to an address', () => {
    expect(ask('loop.shop.svc.cluster.local')).toMatchObject(NXDOMAIN);
    expect(ask('address.shop.svc.cluster.local')).toMatchObject(NXDOMAIN);
  });
});

describe('the cluster domain', () => {
  it('tells the version of the schema', () => {
    expect(ask('dns-version.cluster.local', 'TXT').records).toEqual(['dns-version.cluster.local TXT 1.1.0']);
    expect(ask('dns-version.cluster.local', 'A')).toMatchObject(NODATA);
  });

  it.each([
    'cluster.local',
    'svc.cluster.local',
    'pod.cluster.local',
    'shop.svc.cluster.local',
    'shop.pod.cluster.local',
  ])('has an empty name %s', (name) => expect(ask(name)).toMatchObject(NODATA));

  it.each([
    'x.cluster.local',
    'other.svc.cluster.local',
    'other.pod.cluster.local',
    'nothing.shop.svc.cluster.local',
    'web.other.svc.cluster.local',
    '_a._b._c.web.shop.svc.cluster.local',
    'x.dns-version.cluster.local',
  ])('knows that %s does not exist, and forwards it to nobody', (name) =>
    expect(ask(name)).toMatchObject(NXDOMAIN),
  );

  it('has an SOA and an NS record at its top', () => {
    expect(ask('cluster.local', 'SOA').records[0]).toContain('hostmaster.cluster.local');
    expect(ask('cluster.local', 'NS').records).toEqual([
      'cluster.local NS kube-dns.kube-system.svc.cluster.local',
    ]);
  });

  it('has the dashed address of any pod in a namespace that exists', () => {
    expect(ask('10-244-0-9.shop.pod.cluster.local').records).toEqual([
      '10-244-0-9.shop.pod.cluster.local A 10.244.0.9',
    ]);
    expect(ask('fd00--9.shop.pod.cluster.local', 'AAAA').records).toEqual([
      'fd00--9.shop.pod.cluster.local AAAA fd00::9',
    ]);
    expect(ask('10-244-0-999.shop.pod.cluster.local')).toMatchObject(NXDOMAIN);
    expect(ask('10-244-0-9.other.pod.cluster.local')).toMatchObject(NXDOMAIN);
  });

  it.each(['example.com', 'notcluster.local', 'local', '1.2.3.4.in-addr.arpa', '3.2.1.in-addr.arpa', '.'])(
    'leaves %s to others',
    (name) => expect(ask(name).code).toBe('outside'),
  );
});

describe('a name that the operator gives an address', () => {
  it.each(['db.example.com', 'DB.Example.com'])(
    'is answered inside and outside of the domain: %s',
    (name) => {
      expect(ask(name)).toMatchObject({ code: 'NOERROR', records: [`${name} A 192.0.2.7`] });
      expect(ask(name, 'AAAA')).toMatchObject(NODATA);
    },
  );

  it('may be a name of the cluster, whose namespace need not exist', () => {
    const name = 'db.shared.svc.cluster.local';
    expect(ask(name).records).toEqual([`${name} A 10.96.7.7`]);
    expect(ask(name, 'AAAA').records).toEqual([`${name} AAAA fd00::7`]);
    expect(ask('other.shared.svc.cluster.local')).toMatchObject(NXDOMAIN);
  });

  it('is found through an alias', () => {
    const name = 'given.shop.svc.cluster.local';
    expect(ask(name).records).toEqual([`${name} CNAME db.example.com`, 'db.example.com A 192.0.2.7']);
  });
});

describe('reverse names that only this cluster may answer (T32)', () => {
  it.each([
    ['1.0.96.10.in-addr.arpa', NXDOMAIN],
    ['0.96.10.in-addr.arpa', NODATA],
    ['10.in-addr.arpa', NODATA],
    [`${'9.'.repeat(30)}d.f.ip6.arpa`, NXDOMAIN],
    ['d.f.ip6.arpa', NODATA],
  ])('are denied, not forwarded: %s', (name, expected) => {
    expect(ask(name, 'PTR')).toMatchObject(expected);
  });

  it.each(['1.1.1.1.in-addr.arpa', '1.1.in-addr.arpa', '8.b.d.0.1.0.0.2.ip6.arpa', 'x.10.in-addr.arpa'])(
    'are not all others: %s',
    (name) => {
      expect(ask(name, 'PTR').code).toBe('outside');
    },
  );
});
