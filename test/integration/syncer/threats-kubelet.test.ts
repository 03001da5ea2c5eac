// T13: what a node's kubelet gives to those inside: of pods what is theirs, to whom they let do it, and nothing of the machine.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { type KubeObject, NAMESPACES, PODS, ROLE_BINDINGS, ROLES } from '../../../src/kube/resource.ts';
import { openUpgrade } from '../../../src/kube/upgrade.ts';
import { VALIDATING_ADMISSION_POLICY_BINDINGS } from '../../../src/syncer/admission/configuration.ts';
import type { Pod } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const CLUSTER = 'threats';
const LANDLORD = 'of-the-landlord';
let work: VirtualWorkloads;
let node: string;
beforeAll(async () => {
  work = await createVirtualWorkloads(CLUSTER);
  const { client, kubectl } = work.host;
  const namespace = work.hostNamespace;
  const theirs = podRunning(LANDLORD, 'echo a secret of the landlord');
  await client.create<Pod>(PODS, { ...theirs, metadata: { namespace, name: LANDLORD } }, call());
  await work.create(podRunning('shop', 'echo a line of the shop'));
  node = (await work.running('shop')).spec?.nodeName ?? '';
  await kubectl([
    ...['--namespace', namespace, 'wait', '--for=condition=Ready', `pod/${LANDLORD}`, '--timeout=60s'],
  ]);
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside;
const proxied = (path: string) => inside().client.text(`/api/v1/nodes/${node}/proxy${path}`, call());

describe('T13: the kubelet of a node', () => {
  it('says that it is there, and which pods of this cluster it has', async () => {
    expect(await proxied('/healthz')).toBe('ok');
    const { items } = JSON.parse(await proxied('/pods')) as { items: Pod[] };
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['shop']);
  });

  it.each([
    ...[
      '/',
      '/runningpods/',
      '/configz',
      '/metrics',
      '/metrics/cadvisor',
      '/metrics/probes',
      '/logs/',
      '/spec/',
    ],
    ...['/debug/pprof/heap', '/flagz', '/statusz', '/checkpoint/default/shop/app', '/stats/container'],
    ...['/containerLogs/default/shop/app', '/exec/default/shop/app?command=id&output=1', '/healthz/log'],
    ...['/run/default/shop/app?cmd=id', '/attach/default/shop/app?output=1', '/portForward/default/shop'],
    ...['/pods/../configz', '/pods/%2e%2e/configz', '//configz', '/pods/', '/pods%2f..%2fconfigz'],
  ])('keeps %s to itself', async (path) => {
    await expect(proxied(path)).rejects.toThrow(
      /of a node's proxy only .* are served|could not find the requested/,
    );
  });

  it('has nothing of others for one who takes the policy away', async () => {
    const binding = { name: 'kubelet.syncer.mayfly.dev' };
    await inside().client.delete(VALIDATING_ADMISSION_POLICY_BINDINGS, binding, call());
    await eventually(async () => proxied('/containerLogs/default/shop/app'), {
      what: 'the policy is gone',
      timeoutMs: 30_000,
    });
    expect(await proxied('/containerLogs/default/shop/app')).toBe('a line of the shop\n');
    const { hostNamespace } = work;
    const copy = await work.onHost<Pod>(PODS, 'shop');
    for (const pod of [`${LANDLORD}/app`, `${CLUSTER}-0/syncer`, `${copy?.metadata.name}/app`]) {
      await expect(proxied(`/containerLogs/${hostNamespace}/${pod}`)).rejects.toThrow(/is not on this node/);
      await expect(proxied(`/containerLogs/default/${pod}`)).rejects.toThrow(/is not on this node/);
    }
    for (const path of [
      '/runningpods/',
      '/configz',
      '/metrics/cadvisor',
      '/logs/syslog',
      '/debug/pprof/heap',
    ]) {
      await expect(proxied(path)).rejects.toThrow(/the virtual kubelet does not serve this path/);
    }
    await inside().client.create<KubeObject>(
      VALIDATING_ADMISSION_POLICY_BINDINGS,
      {
        metadata: binding,
        spec: { policyName: binding.name, validationActions: ['Deny'] },
      } as KubeObject,
      call(),
    );
    await eventually(
      async () =>
        proxied('/containerLogs/default/shop/app').then(
          () => undefined,
          () => true,
        ),
      { what: 'the policy is back', timeoutMs: 30_000 },
    );
  });

  it('gives a pod of that name inside, not the one on the host', async () => {
    const { hostNamespace } = work;
    await inside().client.create(NAMESPACES, { metadata: { name: hostNamespace } }, call());
    const twin = podRunning(LANDLORD, 'echo a line of the twin');
    await eventually(
      async () =>
        inside().client.create<Pod>(
          PODS,
          { ...twin, metadata: { namespace: hostNamespace, name: LANDLORD } },
          call(),
        ),
      { what: 'the twin is admitted', timeoutMs: 20_000 },
    );
    const [at, pod] = [['--namespace', hostNamespace], `pod/${LANDLORD}`];
    await inside().kubectl([...at, 'wait', '--for=condition=Ready', pod, '--timeout=60s']);
    expect(await inside().kubectl([...at, 'logs', pod])).toBe('a line of the twin\n');
    const hostname = await inside().kubectl([
      ...at,
      'exec',
      LANDLORD,
      '--',
      'sh',
      '-c',
      'cat /etc/hostname; id -u',
    ]);
    expect(hostname).toBe(`${LANDLORD}\n0\n`);
    await inside().client.delete(NAMESPACES, { name: hostNamespace }, call());
  });
});

describe('T13: who may only get', () => {
  const USER = 'reader';
  const WEBSOCKET = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': Buffer.alloc(16, 7).toString('base64'),
    'Sec-WebSocket-Protocol': 'v5.channel.k8s.io, v4.channel.k8s.io',
  };
  const command = 'command=echo&command=done&stdout=true';
  const path = '/api/v1/namespaces/default/pods/shop';

  beforeAll(async () => {
    const subresources = ['exec', 'attach', 'portforward', 'log'].map((name) => `pods/${name}`);
    const grant = async (name: string, user: string, verbs: string[]) => {
      const rules = [{ apiGroups: [''], resources: ['pods', ...subresources], verbs }];
      await inside().client.create<KubeObject>(ROLES, { metadata: named(name), rules } as KubeObject, call());
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
      const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }];
      const binding = { metadata: named(name), roleRef, subjects };
      await inside().client.create<KubeObject>(ROLE_BINDINGS, binding, call());
    };
    await grant('get', USER, ['get']);
    await grant('create', 'operator', ['get', 'create']);
    await inside().kubectl(['create', 'clusterrole', 'proxy', '--verb=get', '--resource=nodes/proxy']);
    await inside().kubectl([
      'create',
      'clusterrolebinding',
      'proxy',
      '--clusterrole=proxy',
      `--user=${USER}`,
    ]);
  });

  /** The status of the answer, and what it said when it is no stream. */
  async function upgrade(user: string, target: string): Promise<{ status: number; said: string }> {
    const connection = connectionFromKubeconfig(await readFile(inside().kubeconfig, 'utf8'));
    const opened = await openUpgrade(connection, {
      method: 'GET',
      path: target,
      headers: { ...WEBSOCKET, 'Impersonate-User': user },
      signal: AbortSignal.timeout(30_000),
      timeoutMs: 20_000,
    });
    if (opened.kind === 'response')
      return { status: opened.response.statusCode ?? 0, said: await text(opened.response) };
    opened.socket.destroy();
    return { status: opened.status, said: '' };
  }

  it.each([
    ['exec', `${path}/exec?${command}`],
    ['attach', `${path}/attach?stdout=true`],
    ['portforward', `${path}/portforward?ports=8080`],
  ])('cannot %s by a WebSocket, which begins with GET', async (subresource, target) => {
    await eventually(async () => ((await upgrade('operator', target)).status === 101 ? true : undefined), {
      what: 'the right to create has arrived',
      timeoutMs: 20_000,
    });
    const { status, said } = await upgrade(USER, target);
    expect(status).toBe(403);
    expect(said).toContain(`needs the verb create on pods/${subresource}`);
  });

  it('cannot by kubectl, over either protocol, and reads logs', async () => {
    const as = (user: string, websockets: string) =>
      inside().kubectl(['exec', 'shop', '--as', user, '--', 'echo', 'done'], {
        env: {
          ...process.env,
          KUBECONFIG: inside().kubeconfig,
          KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets,
        },
      });
    for (const websockets of ['true', 'false']) {
      await expect(as(USER, websockets)).rejects.toThrow(/forbidden|needs the verb create/i);
      expect(await as('operator', websockets)).toBe('done\n');
    }
    expect(await inside().kubectl(['logs', 'shop', '--as', USER])).toBe('a line of the shop\n');
  });

  it('runs nothing by way of a node, whose proxy begins with GET as well', async () => {
    const proxy = `/api/v1/nodes/${node}/proxy`;
    expect(await inside().kubectl(['get', '--raw', `${proxy}/healthz`, '--as', USER])).toBe('ok');
    const { status, said } = await upgrade(USER, `${proxy}/exec/default/shop/app?command=id&output=1`);
    expect(status).toBe(403);
    expect(said).toContain("of a node's proxy only");
  });
});
