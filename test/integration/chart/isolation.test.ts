import { beforeAll, describe, expect, test } from 'vitest';
import { container, find, type Rendered, render } from './rendered-chart.ts';

let objects: Rendered[];
beforeAll(async () => {
  objects = await render();
});

describe('isolation', () => {
  const kinds = (rendered: readonly Rendered[]) => new Set(rendered.map(({ kind }) => kind));

  test('limits nothing with the profile none', async () => {
    const rendered = kinds(await render({ isolation: { profile: 'none' } }));
    for (const kind of ['ResourceQuota', 'LimitRange', 'NetworkPolicy']) expect(rendered).not.toContain(kind);
  });

  test.each(['baseline', 'restricted'])(
    'limits workloads, objects and the network with %s',
    async (profile) => {
      const rendered = await render({ isolation: { profile } });
      expect(find(rendered, 'ResourceQuota', 'pr-17-workloads').spec.scopes).toEqual(['Terminating']);
      expect(kinds(rendered)).toContain('LimitRange');
      expect(rendered.filter(({ kind }) => kind === 'NetworkPolicy')).toHaveLength(4);
    },
  );

  test('puts each limit of the operator’s where a quota can count it', async () => {
    const quota = { pods: '7', 'requests.nvidia.com/gpu': '1', 'count/secrets': '9' };
    const rendered = await render({ isolation: { quota } });
    expect(find(rendered, 'ResourceQuota', 'pr-17-workloads').spec.hard).toMatchObject({
      pods: '7',
      'requests.cpu': '4',
    });
    expect(find(rendered, 'ResourceQuota', 'pr-17-objects').spec.hard).toMatchObject({
      'requests.nvidia.com/gpu': '1',
      'count/secrets': '9',
    });
  });

  test('keeps workloads from the metadata address and from private networks', () => {
    const { egress } = find(objects, 'NetworkPolicy', 'pr-17-open-egress').spec as {
      egress: { to: { ipBlock?: { cidr: string; except: string[] } }[] }[];
    };
    const blocks = egress.flatMap(({ to }) => to).flatMap(({ ipBlock }) => ipBlock ?? []);
    expect(blocks.find(({ cidr }) => cidr === '0.0.0.0/0')?.except).toEqual(
      expect.arrayContaining(['169.254.0.0/16', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']),
    );
  });

  test('leaves to policies inside what they may take away, and nothing else', async () => {
    const extra = { to: [{ ipBlock: { cidr: '10.9.0.1/32' } }], ports: [{ port: 5432 }] };
    const rendered = await render({ isolation: { networkPolicy: { extraEgress: [extra] } } });
    const specOf = (name: string) => find(rendered, 'NetworkPolicy', name).spec as Record<string, object>;
    const all = { 'mayfly.dev/cluster': 'pr-17' };
    const controlPlane = {
      'app.kubernetes.io/name': 'virtual-cluster',
      'app.kubernetes.io/instance': 'pr-17',
    };
    expect(specOf('pr-17-workloads')).toEqual({
      podSelector: { matchLabels: all },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [{ podSelector: { matchLabels: controlPlane } }] }],
      egress: [extra],
    });
    expect(specOf('pr-17-open-ingress')).toEqual({
      podSelector: { matchLabels: { ...all, 'mayfly.dev/open-ingress': 'true' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: all } }] }],
    });
    expect(specOf('pr-17-open-egress')).toMatchObject({
      podSelector: { matchLabels: { ...all, 'mayfly.dev/open-egress': 'true' } },
      policyTypes: ['Egress'],
    });
  });

  test.each([
    ['on', {}],
    ['off', { isolation: { profile: 'none' } }],
    ['off', { isolation: { networkPolicy: { enabled: false } } }],
  ])('tells the syncer that its policies are %s', async (expected, values) => {
    const rendered = await render(values);
    const { env } = container(rendered, 'syncer') as unknown as { env: { name: string; value: string }[] };
    const variableOf = (name: string) => env.find((variable) => variable.name === name)?.value;
    expect(variableOf('MAYFLY_NETWORK_ISOLATION')).toBe(expected);
    expect(variableOf('MAYFLY_DENIED_CIDRS')).toContain('169.254.0.0/16,168.63.129.16/32,10.0.0.0/8');
  });

  test('lets the syncer ask the servers of stub domains, on whatever port they are', async () => {
    const servers = ['192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]:5354'];
    const rendered = await render({ dns: { stubDomains: { 'corp.example.com': servers } } });
    const { egress } = find(rendered, 'NetworkPolicy', 'pr-17-control-plane').spec as {
      egress: { to?: object; ports?: { protocol: string; port: number }[] }[];
    };
    const ports = egress.filter(({ to }) => !to).flatMap((rule) => rule.ports ?? []);
    expect(ports.filter(({ protocol }) => protocol === 'UDP').map(({ port }) => port)).toEqual([
      53, 5353, 5354,
    ]);
  });

  test('lets in the clients that the operator names', async () => {
    const client = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mayfly' } } };
    const rendered = await render({ isolation: { networkPolicy: { clients: [client] } } });
    for (const name of ['pr-17-workloads', 'pr-17-control-plane']) {
      const { ingress } = find(rendered, 'NetworkPolicy', name).spec as { ingress: { from: object[] }[] };
      expect(ingress.flatMap(({ from }) => from)).toContainEqual(client);
    }
  });
});
