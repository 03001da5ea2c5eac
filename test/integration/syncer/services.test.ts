// Services of every type between two real API servers: what their validation, their allocators and the controllers of both sides
// decide. The test plays the host's cloud.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ENDPOINT_SLICES,
  type KubeObject,
  PODS,
  type ResourceType,
  SERVICES,
} from '../../../src/kube/resource.ts';
import type { EndpointSlice, Pod, Service, ServicePort, ServiceSpec } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

const ENDPOINTS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'endpoints',
  kind: 'Endpoints',
  namespaced: true,
};
interface Endpoints extends KubeObject {
  subsets?: { addresses?: { ip: string }[]; ports?: { name?: string; port: number }[] }[];
}
const named = (name: string) => ({ namespace: 'default', name });

let cluster: SyncedCluster;
/** Of a pod that answers on port 8080, and one that serves another page. */
let addresses: [string, string];

beforeAll(async () => {
  cluster = await startSyncedCluster('services', {
    'isolation.quota.services\\.nodeports': '20',
    'isolation.quota.services\\.loadbalancers': '5',
  });
  const pods = ['one', 'two'].map((name) => {
    const pod = sleeper(named(name));
    const [container] = pod.spec?.containers ?? [];
    const page = `mkdir /tmp/www; echo ${name} > /tmp/www/index.html; busybox httpd -p 8080 -h /tmp/www`;
    if (container) container.command = ['sh', '-c', `trap 'exit 0' TERM; ${page}; sleep 3600 & wait`];
    return pod;
  });
  for (const pod of pods) await inside().create<Pod>(PODS, pod, call());
  const [one = '', two = ''] = await Promise.all(pods.map(({ metadata }) => addressOf(metadata.name ?? '')));
  addresses = [one, two];
});
afterAll(() => cluster?.remove());

const inside = () => cluster.inside.client;
const addressOf = (name: string) =>
  eventually(
    async () => {
      const { status } = (await cluster.find<Pod>(PODS, named(name))) ?? {};
      return status?.phase === 'Running' ? status.podIP : undefined;
    },
    within(`${name} runs`),
  );
const create = (name: string, spec: ServiceSpec) =>
  inside().create<Service>(SERVICES, { metadata: named(name), spec }, call());
const copied = (name: string, accept: (copy: Service) => boolean = () => true) =>
  cluster.copied<Service>(SERVICES, name, accept);
const shown = (name: string, accept: (service: Service) => boolean) =>
  eventually(
    async () => {
      const service = await cluster.find<Service>(SERVICES, named(name));
      return service && accept(service) ? service : undefined;
    },
    within(`${name} is shown as it should be`),
  );
/** Changes what is there now; again when somebody else was quicker. */
const change = (name: string, to: (spec: ServiceSpec) => ServiceSpec) =>
  eventually(
    async () => {
      const service = await inside().get<Service>(SERVICES, named(name), call());
      return inside()
        .update<Service>(SERVICES, { ...service, spec: to(service.spec ?? {}) }, call())
        .catch(({ code }: { code?: string }) => {
          if (code !== 'Conflict') throw new Error(`refused: ${code}`);
          return undefined;
        });
    },
    within(`${name} is changed`),
  );
const pageOf = async (url: string) => {
  const script = `timeout 2 wget -qO- ${url} || true`;
  return (await cluster.inside.kubectl(['exec', 'one', '--', 'sh', '-c', script])).trim();
};
const served = (url: string, page: string) =>
  eventually(
    async () => ((await pageOf(url)) === page ? true : undefined),
    within(`${url} leads to ${page}`),
  );
const portOf = ({ spec }: Service) => spec?.ports?.[0]?.nodePort;

describe('a Service', () => {
  it('sticks clients to pods where it says so, as long as it says so', async () => {
    await create('sticky', {
      selector: { app: 'one' },
      ports: [{ port: 80, targetPort: 8080 }],
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 77 } },
    });
    const { spec } = await copied('sticky');
    expect(spec).toMatchObject({
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 77 } },
    });
    await change('sticky', (own) => ({ ...own, sessionAffinity: 'None', sessionAffinityConfig: undefined }));
    const released = await copied('sticky', (copy) => copy.spec?.sessionAffinity === 'None');
    expect(released.spec).not.toHaveProperty('sessionAffinityConfig');
    await served('http://sticky', 'one');
  });

  it('has the families that the host has, and no more', async () => {
    const ports = [{ port: 80 }];
    const { spec } = await create('preferring', { ports, ipFamilyPolicy: 'PreferDualStack' });
    const copy = await copied('preferring');
    expect(spec).toMatchObject({ clusterIPs: copy.spec?.clusterIPs, ipFamilies: ['IPv4'] });
    await expect(create('requiring', { ports, ipFamilyPolicy: 'RequireDualStack' })).rejects.toThrow(
      /ipFamilyPolicy/,
    );
    expect(await cluster.find(SERVICES, named('requiring'))).toBeUndefined();
  });

  it('becomes an alias and a Service again', async () => {
    const ports = [{ port: 80, targetPort: 8080 }];
    await create('turning', { selector: { app: 'two' }, ports });
    await served('http://turning', 'two');
    await change('turning', () => ({
      type: 'ExternalName',
      externalName: 'sticky.default.svc.cluster.local',
    }));
    await cluster.goneOnHost(SERVICES, 'turning');
    await served('http://turning', 'one');
    await change('turning', () => ({ type: 'ClusterIP', selector: { app: 'two' }, ports }));
    const { spec } = await copied('turning');
    expect(spec?.clusterIP).toMatch(/^10\./);
    expect((await cluster.find<Service>(SERVICES, named('turning')))?.spec?.clusterIP).toBe(spec?.clusterIP);
    await served('http://turning', 'two');
  });

  it.each(['service.kubernetes.io/headless', 'service.kubernetes.io/service-proxy-name'])(
    'is not served by the host’s proxy while it is labelled %s, nor by another one of the host',
    async (label) => {
      const name = `without-${label.split('/')[1]}`;
      const labelled = (value: string | null) =>
        inside().patch<Service>(
          SERVICES,
          named(name),
          { type: 'merge', body: { metadata: { labels: { [label]: value } } } },
          call(),
        );
      await create(name, { selector: { app: 'one' }, ports: [{ port: 80, targetPort: 8080 }] });
      await served(`http://${name}`, 'one');
      await labelled('proxy-of-the-host');
      const { metadata } = await copied(name, ({ metadata: { labels } }) => labels?.[label] !== undefined);
      expect(Object.values(metadata.labels ?? {})).not.toContain('proxy-of-the-host');
      await served(`http://${name}`, '');
      await labelled(null);
      await served(`http://${name}`, 'one');
    },
  );

  it('follows changes of its selector and its ports', async () => {
    await create('moving', { selector: { app: 'one' }, ports: [{ port: 80, targetPort: 8080 }] });
    await served('http://moving', 'one');
    await change('moving', (spec) => ({
      ...spec,
      selector: { app: 'two' },
      ports: [{ port: 81, targetPort: 8080 }],
    }));
    await served('http://moving:81', 'two');
    const { spec } = await copied('moving');
    expect(spec?.ports?.map(({ port }) => port)).toEqual([81]);
  });
});

describe('a Service with ports on nodes', () => {
  it('has those of the host: the one it asks for, or any', async () => {
    const ports = [{ port: 80, targetPort: 8080 }];
    const any = await create('any-port', { type: 'NodePort', selector: { app: 'one' }, ports });
    expect(portOf(await copied('any-port'))).toBe(portOf(any));
    const wanted = [{ port: 80, targetPort: 8080, nodePort: 31_777 }];
    const asked = await create('this-port', { type: 'NodePort', ports: wanted });
    expect(portOf(asked)).toBe(31_777);
    expect(portOf(await copied('this-port', ({ spec }) => spec?.type === 'NodePort'))).toBe(31_777);
    await expect(create('same-port', { type: 'NodePort', ports: wanted })).rejects.toThrow(/allocated/);
  });

  /** Of the Service as the answer to its change said, in the order of its ports. */
  const nodePorts = ({ spec }: Service) => spec?.ports?.map(({ nodePort }) => nodePort);

  it('is told them when it becomes one, and gives them back', async () => {
    await create('opening', { selector: { app: 'one' }, ports: [{ port: 80, targetPort: 8080 }] });
    await copied('opening');
    const told = await change('opening', (spec) => ({ ...spec, type: 'NodePort' }));
    const copy = await copied('opening', ({ spec }) => spec?.type === 'NodePort');
    expect(portOf(copy)).toBe(portOf(told));
    await change('opening', (spec) => ({
      ...spec,
      type: 'ClusterIP',
      ports: [{ port: 80, targetPort: 8080 }],
    }));
    const closed = await copied('opening', ({ spec }) => spec?.type === 'ClusterIP');
    expect(portOf(closed)).toBeUndefined();
    await served('http://opening', 'one');
  });

  it('is told that of a port which it gains, or changes to one of its choice, and keeps the others', async () => {
    const http = { name: 'http', port: 80, targetPort: 8080 };
    await create('growing', { type: 'NodePort', selector: { app: 'one' }, ports: [http] });
    const before = await copied('growing', ({ spec }) => spec?.type === 'NodePort');
    const https = { name: 'https', port: 443, targetPort: 8080 };
    const grown = await change('growing', (spec) => ({ ...spec, ports: [http, https] }));
    const copy = await copied('growing', ({ spec }) => spec?.ports?.length === 2);
    expect(nodePorts(copy)).toEqual(nodePorts(grown));
    expect(portOf(copy)).toBe(portOf(before));
    await change('growing', (spec) => ({ ...spec, ports: [http, { ...https, nodePort: 31_778 }] }));
    const changed = await copied('growing', ({ spec }) => spec?.ports?.[1]?.nodePort === 31_778);
    expect(portOf(changed)).toBe(portOf(before));
  });

  it('does not become one with a port that the host has given already, or beyond the quota, and is told so', async () => {
    await create('taken', { type: 'NodePort', ports: [{ port: 80, nodePort: 31_779 }] });
    await create('wanting', { ports: [{ port: 80 }] });
    const before = await copied('wanting');
    const asking = (ports: ServicePort[]) =>
      inside().patch<Service>(
        SERVICES,
        named('wanting'),
        { type: 'merge', body: { spec: { type: 'NodePort', ports } } },
        call(),
      );
    const refused = await asking([{ port: 80, nodePort: 31_779 }]).catch(({ message }: Error) => message);
    expect(refused).toMatch(/Service "wanting" is invalid: .*provided port is already allocated/);
    const many = Array.from({ length: 21 }, (_, index) => ({ name: `p${index}`, port: 100 + index }));
    const beyond = await asking(many).catch(({ message }: Error) => message);
    expect(beyond).toMatch(/services "wanting" is forbidden: exceeded quota: .*services\.nodeports/);
    expect((await cluster.find<Service>(SERVICES, named('wanting')))?.spec?.type).toBe('ClusterIP');
    expect((await copied('wanting')).spec).toEqual(before.spec);
  });

  it('has a change of ports that something else refuses taken back on the host', async () => {
    await create('unlucky', { ports: [{ port: 80 }] });
    await copied('unlucky');
    // Only after the ports were given: validation comes after admission.
    const body = { spec: { type: 'NodePort', loadBalancerSourceRanges: ['10.0.0.0/8'] } };
    await expect(inside().patch(SERVICES, named('unlucky'), { type: 'merge', body }, call())).rejects.toThrow(
      /LoadBalancerSourceRanges/,
    );
    await copied('unlucky', ({ spec }) => spec?.type === 'NodePort');
    await eventually(
      async () => {
        const { spec } = await copied('unlucky');
        return spec?.type === 'ClusterIP' ? true : undefined;
      },
      { what: 'the host Service has no ports on nodes again', timeoutMs: 100_000 },
    );
  });

  it('shows the addresses of the host’s load balancer', async () => {
    await create('balanced', { type: 'LoadBalancer', selector: { app: 'one' }, ports: [{ port: 80 }] });
    const copy = await copied('balanced', ({ spec }) => spec?.type === 'LoadBalancer');
    const status = { loadBalancer: { ingress: [{ ip: '192.0.2.80' }, { hostname: 'lb.example.com' }] } };
    await cluster.host.client.update<Service>(
      SERVICES,
      { ...copy, status },
      { ...call(), subresource: 'status' },
    );
    const { status: told } = await shown('balanced', (service) =>
      Boolean(service.status?.loadBalancer?.ingress),
    );
    expect(told?.loadBalancer?.ingress).toMatchObject(status.loadBalancer.ingress);
    await inside().delete(SERVICES, named('balanced'), call());
    await cluster.goneOnHost(SERVICES, 'balanced');
  });
});

describe('a Service without a selector', () => {
  const slice = (name: string, service: string, address: string): EndpointSlice => ({
    metadata: { ...named(name), labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ port: 8080, protocol: 'TCP' }],
  });

  it('leads where its slices say, as they change and go', async () => {
    await create('by-hand', { ports: [{ port: 80, targetPort: 8080 }] });
    const created = await inside().create<EndpointSlice>(
      ENDPOINT_SLICES,
      slice('by-hand-1', 'by-hand', addresses[0]),
      call(),
    );
    await served('http://by-hand', 'one');
    const endpoints = [{ addresses: [addresses[1]], conditions: { ready: true } }];
    await inside().update<EndpointSlice>(ENDPOINT_SLICES, { ...created, endpoints }, call());
    await served('http://by-hand', 'two');
    await inside().delete(ENDPOINT_SLICES, named('by-hand-1'), call());
    await cluster.goneOnHost(ENDPOINT_SLICES, 'by-hand-1');
    await served('http://by-hand', '');
  });

  it('may have none of another’s making once it has a selector', async () => {
    await create('taken-over', { ports: [{ port: 80, targetPort: 8080 }] });
    await inside().create(ENDPOINT_SLICES, slice('taken-over-1', 'taken-over', addresses[0]), call());
    await served('http://taken-over', 'one');
    await change('taken-over', (spec) => ({ ...spec, selector: { app: 'two' } }));
    await cluster.goneOnHost(ENDPOINT_SLICES, 'taken-over-1');
    await served('http://taken-over', 'two');
  });

  it('leads where Endpoints of the older kind say', async () => {
    await create('legacy', { ports: [{ port: 80, targetPort: 8080 }] });
    const subsets = (ip: string) => [{ addresses: [{ ip }], ports: [{ port: 8080 }] }];
    const created = await inside().create<Endpoints>(
      ENDPOINTS,
      { metadata: named('legacy'), subsets: subsets(addresses[0]) },
      call(),
    );
    await served('http://legacy', 'one');
    await inside().update<Endpoints>(ENDPOINTS, { ...created, subsets: subsets(addresses[1]) }, call());
    await served('http://legacy', 'two');
    await inside().delete(ENDPOINTS, named('legacy'), call());
    await served('http://legacy', '');
  });

  it('may be headless, and have names for its endpoints', async () => {
    await create('bare', { clusterIP: 'None', ports: [{ port: 8080 }] });
    const endpoints = [{ addresses: [addresses[1]], hostname: 'two', conditions: { ready: true } }];
    await inside().create(ENDPOINT_SLICES, { ...slice('bare-1', 'bare', addresses[1]), endpoints }, call());
    expect((await copied('bare')).spec?.clusterIP).toBe('None');
    await served('http://bare:8080', 'two');
    await served('http://two.bare:8080', 'two');
  });
});
