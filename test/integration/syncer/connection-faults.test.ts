// Connections that break or fall silent under a virtual cluster, and streams of its users over them. Each test is named after its
// row of the list of faults.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { PODS } from '../../../src/kube/resource.ts';
import { openUpgrade } from '../../../src/kube/upgrade.ts';
import type { Pod } from '../../../src/syncer/objects.ts';
import { acceptedOn } from '../../host/connections.ts';
import { containerProcesses, killContainer } from '../../host/containers.ts';
import { silenceConnections } from '../../host/faults.ts';
import { eventually } from '../../support/eventually.ts';
import { figure, syncerFigures } from '../../support/figures.ts';
import { type KubectlSession, startKubectl } from '../../support/kubectl-session.ts';
import { NO_NODE } from '../../support/many-pods.ts';
import { answeringPod } from '../../support/reachability.ts';
import {
  call,
  containerStatus,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

const CLUSTER = 'connected';
/** Of the host's API and of the virtual one, as the syncer reaches them. */
const API_PORTS = [443, 6443];
/** Where the virtual API server hands over what it opens to kubelets. */
const TUNNELS = '/run/mayfly/egress-cluster.sock';
const ECHO_PORT = 7000;

const named = (name: string) => ({ namespace: 'default', name });

let cluster: SyncedCluster;
let target: string;
beforeAll(async () => {
  cluster = await startSyncedCluster(CLUSTER);
  await cluster.inside.client.create<Pod>(PODS, answeringPod(named('target'), [`tcp:${ECHO_PORT}`]), call());
  await cluster.inside.kubectl(['wait', '--for=condition=Ready', 'pod/target', '--timeout=60s']);
  const pod = await cluster.inside.client.get<Pod>(PODS, named('target'), call());
  target = containerStatus(pod, 'main').containerID ?? '';
});
afterAll(() => cluster?.remove());

const sessions: KubectlSession[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.end();
});

const containerId = async (name: string) =>
  containerStatus(await cluster.controlPlane(), name).containerID ?? '';
async function syncerProcess(): Promise<number> {
  const [pid] = await containerProcesses(await containerId('syncer'));
  if (pid === undefined) throw new Error('the syncer does not run');
  return pid;
}

async function kubectl(...args: string[]): Promise<KubectlSession> {
  const session = await startKubectl(cluster.inside.kubeconfig, args);
  sessions.push(session);
  return session;
}

/** A command that reads its input for as long as there is one. */
async function openExec(): Promise<KubectlSession> {
  const session = await kubectl('exec', '--stdin', 'target', '--', 'sh', '-c', 'echo begun; cat');
  await session.line(/^begun$/);
  return session;
}

/** A connection to the pod over a forwarded port, which has carried bytes both ways. */
async function openForward() {
  const session = await kubectl('port-forward', 'pod/target', `:${ECHO_PORT}`);
  const [, port] = await session.line(/127\.0\.0\.1:(\d+) -> /);
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  const closed = new Promise<true>((resolve) => socket.once('close', () => resolve(true)));
  socket.on('error', () => undefined);
  await once(socket, 'data');
  socket.write('hello');
  expect(String((await once(socket, 'data'))[0])).toBe('hello');
  return { session, closed };
}

const figures = () => syncerFigures(cluster.host, { namespace: cluster.hostNamespace, name: CLUSTER });

describe('F3: connections to both API servers that hang half open', () => {
  const SIDES = ['host', 'virtual'].map((side) => ({ reflector: `${side}/pods` }));
  const MESSAGE = 'told by the host';
  const lag = (text: string, side: { reflector: string }) =>
    figure(text, 'mayfly_reflector_last_heard_seconds', side);

  test('are given up, and both sides are followed from where they were', async () => {
    await cluster.inside.client.create<Pod>(PODS, sleeper(named('before'), NO_NODE), call());
    const { metadata } = await cluster.copied<Pod>(PODS, 'before');
    const before = await figures();
    const restore = await silenceConnections(await syncerProcess(), API_PORTS);
    const changeBothSides = () =>
      Promise.all([
        cluster.host.client.patch(
          PODS,
          { namespace: cluster.hostNamespace, name: metadata.name ?? '' },
          { type: 'merge', body: { status: { message: MESSAGE } } },
          { ...call(), subresource: 'status' },
        ),
        cluster.inside.client.create<Pod>(PODS, sleeper(named('meanwhile'), NO_NODE), call()),
      ]);
    try {
      const longest = SIDES.map(() => 0);
      const followed = eventually(async () => {
        const text = await figures();
        SIDES.forEach((side, index) => {
          longest[index] = Math.max(longest[index] ?? 0, lag(text, side));
        });
        const seen = await cluster.find<Pod>(PODS, named('before'));
        const copy = await cluster.copyOf(PODS, 'meanwhile');
        return (seen?.status?.message === MESSAGE && copy !== undefined) || undefined;
      }, within('both sides are followed again'));
      await Promise.all([changeBothSides(), followed]);
      const after = await figures();
      SIDES.forEach((side, index) => {
        const count = (text: string, name: string) => figure(text, `mayfly_reflector_${name}_total`, side);
        expect(lag(after, side)).toBeLessThan(longest[index] ?? 0);
        expect(count(after, 'failures')).toBeGreaterThan(count(before, 'failures'));
        expect(count(after, 'lists')).toBe(count(before, 'lists'));
      });
    } finally {
      await restore();
    }
  });
});

describe('F26: streams of users', () => {
  /** Opens streams, breaks them, and expects that their users learn it and that the pod is left with none. */
  async function breakStreams(by: () => Promise<void>): Promise<void> {
    const processes = async () => (await containerProcesses(target)).length;
    const before = await processes();
    const [exec, forward] = await Promise.all([openExec(), openForward()]);
    expect(await processes()).toBeGreaterThan(before);
    await by();
    expect((await exec.ended).code).not.toBe(0);
    expect(await forward.closed).toBe(true);
    expect((await forward.session.ended).code).not.toBe(0);
    await eventually(
      async () => (await processes()) === before || undefined,
      within('what ran for them in the pod has ended'),
    );
    const again = await eventually(openExec, within('new streams are carried'));
    again.stdin.end();
    expect((await again.ended).code).toBe(0);
  }

  test('end with an error when the virtual API server is killed, and leave nothing open in the syncer', async () => {
    const syncer = await syncerProcess();
    const before = await acceptedOn(syncer, TUNNELS);
    await breakStreams(async () => {
      expect(await acceptedOn(syncer, TUNNELS)).toBeGreaterThan(before);
      await killContainer(await containerId('kube-apiserver'));
    });
    await eventually(
      async () => (await acceptedOn(syncer, TUNNELS)) <= before || undefined,
      within('the syncer has closed its ends'),
    );
  });

  /** Some clients send nothing while a command runs; a WebSocket of the version that API servers pass on as it is has no pings either. */
  async function openSilentExec(): Promise<Duplex> {
    const connection = connectionFromKubeconfig(await readFile(cluster.inside.kubeconfig, 'utf8'));
    const command = ['sh', '-c', 'echo begun; sleep 3600'].map(
      (part) => `&command=${encodeURIComponent(part)}`,
    );
    const opened = await openUpgrade(connection, {
      method: 'GET',
      path: `/api/v1/namespaces/default/pods/target/exec?stdout=true${command.join('')}`,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol': 'v4.channel.k8s.io',
      },
      signal: new AbortController().signal,
      timeoutMs: 30_000,
    });
    if (opened.kind !== 'upgraded') throw new Error(`status ${opened.response.statusCode}`);
    let received = opened.head.toString();
    opened.socket.on('data', (data) => {
      received += data;
    });
    await eventually(async () => received.includes('begun') || undefined, within('the command runs'));
    return opened.socket;
  }

  test('on which nothing moves end when the host hangs half open, and leave nothing open in the syncer', async () => {
    const syncer = await syncerProcess();
    const before = await acceptedOn(syncer, TUNNELS);
    const stream = await openSilentExec();
    onTestFinished(() => void stream.destroy());
    expect(await acceptedOn(syncer, TUNNELS)).toBeGreaterThan(before);
    const restore = await silenceConnections(syncer, API_PORTS);
    try {
      await eventually(async () => stream.closed || undefined, within('its user learns it'));
      await eventually(
        async () => (await acceptedOn(syncer, TUNNELS)) <= before || undefined,
        within('the syncer has closed its ends'),
      );
    } finally {
      await restore();
    }
  });

  test('end with an error when the syncer is killed', async () => {
    await breakStreams(async () => killContainer(await containerId('syncer')));
  });
});
