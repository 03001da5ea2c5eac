// Logs, exec, attach, cp and port-forward: through kubectl and the virtual API server to the host's kubelet, over both protocols.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { type KubectlSession, startKubectl } from '../../support/kubectl-session.ts';
import {
  createVirtualWorkloads,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const WEB = 'mkdir /tmp/www; echo page > /tmp/www/index.html; busybox httpd -p 8080 -h /tmp/www';

let work: VirtualWorkloads;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'streams-'));
  work = await createVirtualWorkloads('streams');
  await work.create(podRunning('web', WEB));
  await work.running('web');
});
afterAll(async () => {
  await work?.remove();
  await rm(folder, { recursive: true, force: true });
});

const sessions: KubectlSession[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.end();
});

const kubectl = (args: readonly string[], env: Record<string, string> = {}) =>
  work.cluster.inside.kubectl(args, {
    env: { ...process.env, KUBECONFIG: work.cluster.inside.kubeconfig, ...env },
  });

async function start(args: readonly string[], env: Record<string, string> = {}): Promise<KubectlSession> {
  const session = await startKubectl(work.cluster.inside.kubeconfig, args, env);
  sessions.push(session);
  return session;
}

describe.each([
  ['WebSocket', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'true', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'true' }],
  ['SPDY', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
])('over %s', (_, protocol) => {
  it('exec carries output, errors and the exit code', async () => {
    expect(await kubectl(['exec', 'web', '--', 'echo', 'a b'], protocol)).toBe('a b\n');
    await expect(
      kubectl(['exec', 'web', '--', 'sh', '-c', 'echo wrong >&2; exit 7'], protocol),
    ).rejects.toThrow(/wrong[\s\S]*exit code 7/);
  });

  it('exec carries input', async () => {
    const session = await start(['exec', '-i', 'web', '--', 'sed', 's/^/got: /'], protocol);
    session.stdin.end('one\n');
    expect((await session.line(/^got: (.*)/))[1]).toBe('one');
  });

  it('cp carries files both ways', async () => {
    const there = join(folder, 'there');
    const back = join(folder, 'back');
    const content = 'x'.repeat(2_000_000);
    await writeFile(there, content);
    await kubectl(['cp', there, 'web:/tmp/file'], protocol);
    await kubectl(['cp', 'web:/tmp/file', back], protocol);
    expect((await readFile(back, 'utf8')) === content).toBe(true);
  });

  it('attach carries what the container reads and writes', async () => {
    const name = `reader-${protocol.KUBECTL_REMOTE_COMMAND_WEBSOCKETS}`;
    const container = { command: ['sh', '-c', 'while read line; do echo "got: $line"; done'], stdin: true };
    await work.create(podRunning(name, '', { container }));
    await work.running(name);
    const session = await start(['attach', '-i', '--quiet', name], protocol);
    const answer = session.line(/^got: (.*)/);
    session.stdin.write('hello\n');
    expect((await answer)[1]).toBe('hello');
  });

  it('port-forward carries several connections', async () => {
    const session = await start(['port-forward', 'pod/web', ':8080'], protocol);
    const [, port] = await session.line(/127\.0\.0\.1:(\d+) -> 8080/);
    const pages = await Promise.all(
      [1, 2, 3].map(async () => (await fetch(`http://127.0.0.1:${port}/`)).text()),
    );
    expect(pages).toEqual(['page\n', 'page\n', 'page\n']);
  });
});

describe('logs', () => {
  beforeAll(async () => {
    const script =
      'for n in 1 2 3 4 5; do echo "line $n"; done; test -f /state/again || { touch /state/again; exit 1; }';
    await work.create(
      podRunning('talker', script, {
        container: { volumeMounts: [{ name: 'state', mountPath: '/state' }] },
        volumes: [{ name: 'state' }],
      }),
    );
    await work.podWhere('talker', 'runs again', ({ status }) => {
      const [app] = status?.containerStatuses ?? [];
      return app?.restartCount === 1 && app.ready && app.lastState?.terminated !== undefined;
    });
  });
  const logs = async (...options: string[]) =>
    (await kubectl(['logs', 'talker', ...options])).trimEnd().split('\n');

  it.each<[string, string[]]>([
    ['--tail=2', ['line 4', 'line 5']],
    ['--previous', ['line 1', 'line 2', 'line 3', 'line 4', 'line 5']],
    ['--limit-bytes=8', ['line 1', 'l']],
    ['--since=1h', ['line 1', 'line 2', 'line 3', 'line 4', 'line 5']],
    ['--since-time=2050-01-01T00:00:00Z', ['']],
  ])('%s', async (option, expected) => expect(await logs(option)).toEqual(expected));

  it('with their times', async () => {
    for (const line of await logs('--timestamps'))
      expect(line).toMatch(/^20\d\d-\d\d-\d\dT[\d:.]+Z line \d$/);
  });

  it('are followed as they are written, to the end of the container', async () => {
    await work.create(
      podRunning('counter', 'sleep 2; echo one; sleep 1; echo two; exit 0', { restartPolicy: 'Never' }),
    );
    await work.running('counter');
    expect(await kubectl(['logs', '-f', 'counter'])).toBe('one\ntwo\n');
  });

  it('of a container that has not started say so with the names inside', async () => {
    const missing = { image: 'docker.io/library/missing:1', imagePullPolicy: 'Never' };
    await work.create(podRunning('waiting', '', { container: missing }));
    const told = await eventually(
      async () =>
        kubectl(['logs', 'waiting']).then(
          () => undefined,
          (error: Error) => (/is waiting to start/.test(error.message) ? error.message : undefined),
        ),
      { what: 'the logs are refused', timeoutMs: 30_000 },
    );
    expect(told).toContain('container "app" in pod "waiting" is waiting to start');
    expect(told).not.toContain(work.hostNamespace);
  });
});
