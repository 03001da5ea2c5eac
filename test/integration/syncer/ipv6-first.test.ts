// A virtual cluster on a host of both address families whose first one is IPv6: what everything has that does not say otherwise.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BOTH,
  type DualStackCluster,
  endDualStackCluster,
  familyOf,
  startDualStackCluster,
} from '../../support/dual-stack-cluster.ts';
import { ownHost } from '../../support/own-host.ts';

const HOST = ownHost('ipv6-first', 1, 'IPv6');

let cluster: DualStackCluster;

beforeAll(async () => {
  cluster = await startDualStackCluster(HOST);
  await Promise.all(['one', 'client'].map((name) => cluster.serve(name)));
});
afterAll(() => endDualStackCluster(HOST, cluster));

describe('where IPv6 comes first', () => {
  it('a Service has IPv6 if it asks for nothing, and may have IPv4 or both', async () => {
    await cluster.createService('any', {});
    await cluster.createService('other', { ipFamilies: ['IPv4'] });
    await cluster.createService('both', { ipFamilyPolicy: 'PreferDualStack' });
    const addresses = [
      ...(await cluster.expectFamilies('any', ['IPv6'])),
      ...(await cluster.expectFamilies('other', ['IPv4'])),
      ...(await cluster.expectFamilies('both', ['IPv6', 'IPv4'])),
    ];
    for (const address of addresses) await cluster.expectPage(address, 'one');
  });

  it('a pod has the address of each family, IPv6 first, and is reached by both', async () => {
    const { status } = await cluster.running('one');
    expect(status?.podIPs?.map(({ ip }) => familyOf(ip))).toEqual(['IPv6', 'IPv4']);
    expect(status?.hostIPs).toEqual(HOST.nodes[0]?.addresses.map((ip) => ({ ip })));
    expect(await cluster.output('one', 'echo "$podIP"')).toBe(status?.podIP);
    for (const family of BOTH) {
      await cluster.expectPage(await cluster.addressOf('one', family), 'one', { port: 8080 });
    }
  });

  it('DNS and the API are at addresses of IPv6', async () => {
    const script = 'grep nameserver /etc/resolv.conf; nslookup kubernetes.default.svc.cluster.local';
    const told = await cluster.output('client', script);
    expect(told).toMatch(/^nameserver fd00:/);
    expect(told).toMatch(/Address: fd00:/);
    expect(await cluster.output('client', 'timeout 5 nc kubernetes.default 443 < /dev/null; echo $?')).toBe(
      '0',
    );
  });
});
