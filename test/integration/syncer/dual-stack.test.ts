// A virtual cluster on a host of both address families, by connections between real pods: it has both where the host has.
import { Resolver } from 'node:dns/promises';
import { request } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ENDPOINT_SLICES, NETWORK_POLICIES, NODES, PODS, SERVICES } from '../../../src/kube/resource.ts';
import { urlHost } from '../../../src/lib/ip-address.ts';
import type {
  EndpointSlice,
  NetworkPolicy,
  NetworkPolicySpec,
  Node,
  Pod,
  Service,
  ServiceSpec,
} from '../../../src/syncer/objects.ts';
import type { Family } from '../../host/instance.ts';
import type { ClusterAccess } from '../../support/cluster.ts';
import {
  BOTH,
  type DualStackCluster,
  endDualStackCluster,
  familyOf,
  pagePod,
  startDualStackCluster,
} from '../../support/dual-stack-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { admitMachine } from '../../support/network-access.ts';
import { ownHost } from '../../support/own-host.ts';
import { forwardPort, freePort } from '../../support/port-forward.ts';
import { call, within } from '../../support/synced-cluster.ts';
import { named } from '../../support/virtual-workloads.ts';

const HOST = ownHost('two-stacks', 2, 'IPv4');
const [NODE_1, NODE_2] = HOST.nodes;
const DOMAIN = 'svc.cluster.local';

let cluster: DualStackCluster;

beforeAll(async () => {
  cluster = await startDualStackCluster(HOST);
  await cluster.createService('team', { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' });
  const on = (node = NODE_1) => ({ nodeSelector: { 'kubernetes.io/hostname': node?.name ?? '' } });
  await Promise.all([
    cluster.serve('one', { ...on(NODE_1), hostname: 'one', subdomain: 'team' }),
    cluster.serve('two', on(NODE_2)),
    cluster.serve('client', on(NODE_1)),
  ]);
});
afterAll(() => endDualStackCluster(HOST, cluster));

const inside = () => cluster.inside.client;
const patch = (name: string, spec: ServiceSpec) =>
  inside().patch<Service>(SERVICES, named(name), { type: 'merge', body: { spec } }, call());

/** Once there is one of each family. */
function endpointsOf({ client }: ClusterAccess, namespace: string, service: string): Promise<string[]> {
  return eventually(
    async () => {
      const labelSelector = `kubernetes.io/service-name=${service}`;
      const options = { namespace, labelSelector, ...call() };
      const { items } = await client.list<EndpointSlice>(ENDPOINT_SLICES, options);
      const found = items.flatMap(({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses));
      return found.length === 2 ? found.sort() : undefined;
    },
    within(`${service} has endpoints of both families`),
  );
}

describe('a Service', () => {
  it.each<[string, ServiceSpec, readonly Family[]]>([
    ['the first family of the host', {}, ['IPv4']],
    ['the other family, when it asks for it', { ipFamilies: ['IPv6'] }, ['IPv6']],
    ['both, when it prefers both', { ipFamilyPolicy: 'PreferDualStack' }, BOTH],
    ['both, when it requires both', { ipFamilyPolicy: 'RequireDualStack' }, BOTH],
    [
      'both in the order that it asks for',
      { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6', 'IPv4'] },
      ['IPv6', 'IPv4'],
    ],
  ])('has %s', async (what, spec, families) => {
    const name = what.replaceAll(/[^a-z]+/g, '-');
    await cluster.createService(name, spec);
    for (const address of await cluster.expectFamilies(name, families))
      await cluster.expectPage(address, 'one');
  });

  it('gets addresses of both families that it asks for', async () => {
    const clusterIPs = [
      HOST.serviceRange.replace('.0.0/16', '.200.1'),
      HOST.serviceRanges[1]?.replace('::/108', '::3210') ?? '',
    ];
    await cluster.createService('asking', {
      ipFamilyPolicy: 'RequireDualStack',
      clusterIP: clusterIPs[0],
      clusterIPs,
    });
    expect(await cluster.expectFamilies('asking', BOTH)).toEqual(clusterIPs);
    for (const address of clusterIPs) await cluster.expectPage(address, 'one');
  });

  it('gets the second family later, keeps its first address, and gives the second back', async () => {
    await cluster.createService('widening', {});
    const [first = ''] = await cluster.expectFamilies('widening', ['IPv4']);
    await patch('widening', { ipFamilyPolicy: 'PreferDualStack' });
    const [same, second = ''] = await cluster.expectFamilies('widening', BOTH);
    expect(same).toBe(first);
    for (const address of [first, second]) await cluster.expectPage(address, 'one');
    await patch('widening', { ipFamilyPolicy: 'SingleStack' });
    expect(await cluster.expectFamilies('widening', ['IPv4'])).toEqual([first]);
    await cluster.expectPage(first, 'one');
    await cluster.expectPage(second, '');
    // The host gave it back: another Service may have it.
    await cluster.createService('successor', { ipFamilies: ['IPv6'], clusterIP: second });
    await cluster.expectPage(second, 'one');
    const wanted = [first, second.replace(/:[^:]*$/, ':3211')];
    await patch('widening', { ipFamilyPolicy: 'RequireDualStack', clusterIPs: wanted });
    expect(await cluster.expectFamilies('widening', BOTH)).toEqual(wanted);
  });

  it('without an address has the endpoints of both families, in slices of their own', async () => {
    await cluster.createService('bare', { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' });
    const copy = await cluster.copied<Service>(
      SERVICES,
      'bare',
      ({ spec }) => spec?.ipFamilies?.length === 2,
    );
    const addresses = await Promise.all(BOTH.map((family) => cluster.addressOf('one', family)));
    expect(await endpointsOf(cluster.inside, 'default', 'bare')).toEqual(addresses);
    const { namespace = '', name = '' } = copy.metadata;
    expect(await endpointsOf(cluster.host, namespace, name)).toEqual(addresses);
    const lines = await cluster.output('client', `nslookup bare.default.${DOMAIN}`);
    for (const address of addresses) expect(lines).toContain(`Address: ${address}`);
  });

  it('leads where slices of IPv6 say that were made by hand, but not to nodes', async () => {
    await cluster.createService('by-hand', { selector: undefined, ipFamilies: ['IPv6'] });
    const slice = (name: string, address: string): EndpointSlice => ({
      metadata: { ...named(name), labels: { 'kubernetes.io/service-name': 'by-hand' } },
      addressType: 'IPv6',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    });
    const make = (name: string, address: string) =>
      inside().create<EndpointSlice>(ENDPOINT_SLICES, slice(name, address), call());
    const { spec } = await make('by-hand', await cluster.addressOf('two', 'IPv6')).then(() =>
      inside().get<Service>(SERVICES, named('by-hand'), call()),
    );
    await cluster.expectPage(spec?.clusterIP ?? '', 'two');
    const node = NODE_1?.addresses[1] ?? '';
    await make('to-a-node', node);
    await cluster.warned('to-a-node', 'SyncRefused');
  });

  it('has its port on all addresses of nodes', async () => {
    await cluster.createService('open', { type: 'NodePort', ipFamilyPolicy: 'RequireDualStack' });
    const { spec } = await cluster.copied<Service>(
      SERVICES,
      'open',
      (copy) => copy.spec?.type === 'NodePort',
    );
    const port = spec?.ports?.[0]?.nodePort;
    for (const address of HOST.nodes.flatMap(({ addresses }) => addresses)) {
      const text = await eventually(
        async () => {
          const { body } = await request(`http://${urlHost(address)}:${port}`, {
            signal: AbortSignal.timeout(1_000),
          });
          return body.text();
        },
        within(`${address} serves the port`),
      );
      expect(text.trim()).toBe('one');
    }
  });

  it('shows addresses of both families that the host’s load balancer gives', async () => {
    await cluster.createService('balanced', { type: 'LoadBalancer', ipFamilyPolicy: 'PreferDualStack' });
    const copy = await cluster.copied<Service>(
      SERVICES,
      'balanced',
      ({ spec }) => spec?.type === 'LoadBalancer',
    );
    const ingress = [{ ip: '192.0.2.80' }, { ip: '2001:db8::80' }];
    const status = { loadBalancer: { ingress } };
    await cluster.host.client.update<Service>(
      SERVICES,
      { ...copy, status },
      { ...call(), subresource: 'status' },
    );
    const told = await eventually(async () => {
      const service = await inside().get<Service>(SERVICES, named('balanced'), call());
      return service.status?.loadBalancer?.ingress;
    }, within('the load balancer is shown'));
    expect(told).toMatchObject(ingress);
    expect((await cluster.expectFamilies('balanced', BOTH)).length).toBe(2);
  });

  it('is reached through the API by its IPv6 alone', async () => {
    await cluster.createService('proxied', { ipFamilies: ['IPv6'] });
    await cluster.expectFamilies('proxied', ['IPv6']);
    const path = '/api/v1/namespaces/default/services/proxied:http/proxy/';
    const got = await eventually(
      () => cluster.inside.kubectl(['get', '--raw', path]),
      within('it is proxied'),
    );
    expect(got.trim()).toBe('one');
  });
});

describe('a pod', () => {
  it('has the addresses of its host pod, and knows them', async () => {
    const { status } = await cluster.running('one');
    const copy = await cluster.copied<Pod>(PODS, 'one');
    expect(status?.podIPs?.map(({ ip }) => familyOf(ip))).toEqual(BOTH);
    expect(status).toMatchObject({ podIPs: copy.status?.podIPs, hostIPs: copy.status?.hostIPs });
    expect(status?.hostIPs).toEqual(NODE_1?.addresses.map((ip) => ({ ip })));
    const ips = status?.podIPs?.map(({ ip }) => ip) ?? [];
    expect(await cluster.output('one', 'echo "$podIP $podIPs $hostIPs"')).toBe(
      `${ips[0]} ${ips.join(',')} ${NODE_1?.addresses.join(',')}`,
    );
  });

  it('finds both its addresses under its full name in /etc/hosts', async () => {
    const file = await cluster.output('one', 'cat /etc/hosts');
    for (const { ip } of (await cluster.running('one')).status?.podIPs ?? []) {
      expect(file).toMatch(new RegExp(`^${ip}\\sone\\.team\\.default\\.${DOMAIN}\\sone$`, 'm'));
    }
  });

  it('reaches the API, and others on their node and the other by each address', async () => {
    const status = await cluster.output('client', 'timeout 5 nc kubernetes.default 443 < /dev/null; echo $?');
    expect(status).toBe('0');
    for (const pod of ['one', 'two']) {
      for (const family of BOTH)
        await cluster.expectPage(await cluster.addressOf(pod, family), pod, { port: 8080 });
    }
  });

  it('answers exec, logs and port-forward on a node with two addresses', async () => {
    const node = await inside().get<Node>(NODES, { name: NODE_1?.name ?? '' }, call());
    const internal = node.status?.addresses?.filter(({ type }) => type === 'InternalIP');
    expect(internal?.map(({ address }) => address)).toEqual(NODE_1?.addresses);
    expect(await cluster.output('one', 'echo here')).toBe('here');
    expect(await cluster.inside.kubectl(['logs', 'one'])).toContain('serving');
    await cluster.createService('forwarded', { ipFamilies: ['IPv6'] });
    const localPort = await freePort();
    await using _ = await forwardPort({
      cluster: cluster.inside,
      ...{ namespace: 'default', service: 'forwarded', servicePort: 80, localPort },
      signal: call().signal,
    });
    const { body } = await request(`http://127.0.0.1:${localPort}`, { signal: AbortSignal.timeout(5_000) });
    expect((await body.text()).trim()).toBe('one');
  });
});

describe('DNS', () => {
  it('tells addresses and names of both families, over both', async () => {
    await cluster.createService('told', { ipFamilyPolicy: 'RequireDualStack' });
    const [four = '', six = ''] = await cluster.expectFamilies('told', BOTH);
    await admitMachine(cluster.host.client, cluster.hostNamespace, call().signal);
    const name = `told.default.${DOMAIN}`;
    const pod = `one.team.default.${DOMAIN}`;
    for (const { ip } of (await cluster.controlPlane()).status?.podIPs ?? []) {
      const resolver = new Resolver({ timeout: 2_000, tries: 3 });
      resolver.setServers([`${urlHost(ip)}:53`]);
      expect(await resolver.resolve4(name)).toEqual([four]);
      expect(await resolver.resolve6(name)).toEqual([six]);
      expect(await resolver.resolveSrv(`_http._tcp.${name}`)).toMatchObject([{ name, port: 80 }]);
      for (const address of [four, six]) expect(await resolver.reverse(address)).toEqual([name]);
      for (const family of BOTH) {
        expect(await resolver.reverse(await cluster.addressOf('one', family))).toContain(pod);
      }
    }
  });
});

describe('network policies', () => {
  const apply = (name: string, spec: NetworkPolicySpec) =>
    inside().create<NetworkPolicy>(NETWORK_POLICIES, { metadata: named(name), spec }, call());
  afterEach(() => cluster.inside.kubectl(['delete', 'networkpolicy', '--all']));

  async function expectReached(expected: Readonly<Record<Family, string>>, to = 'two'): Promise<void> {
    for (const family of BOTH) {
      await cluster.expectPage(await cluster.addressOf(to, family), expected[family], { port: 8080 });
    }
  }

  it('close pods to both families, and open them by selectors for both', async () => {
    const podSelector = { matchLabels: { app: 'two' } };
    await apply('closed', { podSelector, policyTypes: ['Ingress'] });
    await expectReached({ IPv4: '', IPv6: '' });
    const from = [{ podSelector: { matchLabels: { app: 'client' } } }];
    await apply('opened', { podSelector, ingress: [{ from }] });
    await expectReached({ IPv4: 'two', IPv6: 'two' });
  });

  it.each(BOTH)('let out to a block of %s, and to no address of the other family', async (family) => {
    const cidr = `${await cluster.addressOf('two', family)}/${family === 'IPv4' ? 32 : 128}`;
    await apply('block', {
      podSelector: { matchLabels: { app: 'client' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr } }] }],
    });
    await expectReached({ IPv4: '', IPv6: '', [family]: 'two' });
    await expectReached({ IPv4: '', IPv6: '' }, 'one');
  });

  it('of the chart keep other tenants and nodes away in both families', async () => {
    const { client } = cluster.host;
    await client.create<Pod>(PODS, pagePod('stranger'), call());
    const { status } = await eventually(async () => {
      const pod = await client.get<Pod>(PODS, named('stranger'), call());
      return pod.status?.phase === 'Running' && pod.status.podIPs ? pod : undefined;
    }, within('the stranger runs'));
    const ofStranger = (script: string) =>
      cluster.host.kubectl(['exec', 'stranger', '--', 'sh', '-c', script]).then((said) => said.trim());
    for (const { ip } of status?.podIPs ?? []) {
      expect(await ofStranger(`timeout 5 wget -qO- http://${urlHost(ip)}:8080`)).toBe('stranger');
      await cluster.expectPage(ip, '', { port: 8080 });
    }
    for (const family of BOTH) {
      const address = urlHost(await cluster.addressOf('two', family));
      const script = `timeout 1 wget -qO- http://${address}:8080 || echo refused`;
      expect(await ofStranger(script)).toBe('refused');
    }
    for (const address of NODE_2?.addresses ?? []) {
      expect(
        await cluster.output('client', `timeout 1 nc ${address} 10250 < /dev/null || echo refused`),
      ).toBe('refused');
    }
  });
});
