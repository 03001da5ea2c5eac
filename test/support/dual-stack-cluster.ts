// A virtual cluster on a test host of both address families, and what tests of it do all the time: pods that serve a page,
// Services, and which addresses lead where.
import { isIPv6 } from 'node:net';
import { expect } from 'vitest';
import { PODS, SERVICES } from '../../src/kube/resource.ts';
import { urlHost } from '../../src/lib/ip-address.ts';
import type { Pod, PodSpec, Service, ServiceSpec } from '../../src/syncer/objects.ts';
import type { Family } from '../host/instance.ts';
import { eventually } from './eventually.ts';
import type { OwnHost } from './own-host.ts';
import { call, type SyncedCluster, sleeper, startSyncedCluster, within } from './synced-cluster.ts';
import { named } from './virtual-workloads.ts';

export const BOTH: readonly Family[] = ['IPv4', 'IPv6'];
/** Leads to the pages of pods. */
const PAGE_PORTS = [{ name: 'http', port: 80, targetPort: 8080 }];
export const familyOf = (address: string): Family => (isIPv6(address) ? 'IPv6' : 'IPv4');

export interface DualStackCluster extends SyncedCluster {
  /** Makes a pod that serves its name on port 8080, and waits until it runs. */
  serve(name: string, spec?: Partial<PodSpec>): Promise<Pod>;
  running(name: string): Promise<Pod>;
  addressOf(pod: string, family: Family): Promise<string>;
  /** What a shell script in a pod prints. */
  output(pod: string, script: string): Promise<string>;
  /** Expects that a pod, `client` if it is not named, gets this page at an address; the empty one stands for no answer. */
  expectPage(address: string, page: string, at?: { port?: number; from?: string }): Promise<void>;
  /** A Service that leads to the pod `one`, if it does not say otherwise. */
  createService(name: string, spec: ServiceSpec): Promise<Service>;
  /** Expects that a Service has these families, in this order, and the same addresses on both sides; gives these. */
  expectFamilies(name: string, families: readonly Family[]): Promise<readonly string[]>;
}

/** Serves its name on port 8080. */
export function pagePod(name: string, spec: Partial<PodSpec> = {}): Pod {
  const pod = sleeper(named(name), spec);
  const [container] = pod.spec?.containers ?? [];
  const serve = `mkdir /tmp/www; echo ${name} > /tmp/www/index.html; busybox httpd -p 8080 -h /tmp/www`;
  if (container) {
    container.command = ['sh', '-c', `trap 'exit 0' TERM; ${serve}; echo serving; sleep 3600 & wait`];
    container.env = ['podIP', 'podIPs', 'hostIPs'].map((field) => ({
      name: field,
      valueFrom: { fieldRef: { fieldPath: `status.${field}` } },
    }));
  }
  return pod;
}

/** Brings the host up, which is the caller's to end, and a virtual cluster on it. */
export async function startDualStackCluster(host: OwnHost): Promise<DualStackCluster> {
  await host.up();
  await host.load();
  const values = {
    'isolation.quota.services\\.nodeports': '20',
    'isolation.quota.services\\.loadbalancers': '5',
  };
  const cluster = await startSyncedCluster(host.name, values, host.kubeconfig);
  const { client, kubectl } = cluster.inside;

  const running = (name: string) =>
    eventually(
      async () => {
        const pod = await cluster.find<Pod>(PODS, named(name));
        return pod?.status?.phase === 'Running' && pod.status.podIPs ? pod : undefined;
      },
      within(`${name} runs`),
    );

  const output = async (pod: string, script: string) =>
    (await kubectl(['exec', pod, '--', 'sh', '-c', script])).trim();

  return {
    ...cluster,
    running,
    output,
    async serve(name, spec) {
      await client.create<Pod>(PODS, pagePod(name, spec), call());
      return running(name);
    },
    async addressOf(name, family) {
      const { status } = await running(name);
      return status?.podIPs?.map(({ ip }) => ip).find((ip) => familyOf(ip) === family) ?? '';
    },
    async expectPage(address, page, { port = 80, from = 'client' } = {}) {
      const script = `timeout 1 wget -qO- http://${urlHost(address)}:${port} || true`;
      await eventually(
        async () => {
          // No answer may be a slow one: only two in a row are none.
          const got = (await output(from, script)) || (await output(from, script));
          if (got === page) return true;
          throw new Error(`it is "${got}"`);
        },
        within(`${from} gets "${page}" from ${address}`),
      );
    },
    createService: (name, spec) =>
      client.create<Service>(
        SERVICES,
        { metadata: named(name), spec: { selector: { app: 'one' }, ports: PAGE_PORTS, ...spec } },
        call(),
      ),
    async expectFamilies(name, families) {
      const { spec: onHost } = await cluster.copied<Service>(
        SERVICES,
        name,
        ({ spec }) => spec?.clusterIPs?.length === families.length && spec.selector !== undefined,
      );
      const { spec } = await client.get<Service>(SERVICES, named(name), call());
      const { clusterIP, clusterIPs = [], ipFamilies, ipFamilyPolicy } = spec ?? {};
      expect(ipFamilies).toEqual(families);
      expect(clusterIPs.map(familyOf)).toEqual(families);
      expect(onHost).toMatchObject({ clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy });
      return clusterIPs;
    },
  };
}

/** For the end of a test: what is in the host goes with it. */
export async function endDualStackCluster(
  host: OwnHost,
  cluster: DualStackCluster | undefined,
): Promise<void> {
  if (cluster) await Promise.all([cluster.inside.client.close(), cluster.host.client.close()]);
  await host.down();
}
