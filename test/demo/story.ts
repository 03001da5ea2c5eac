// The demo's story: one pull request from opened to gone, on real input, told as it happens.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { findCondition } from '../../src/environments/conditions.ts';
import type { Environment } from '../../src/environments/resource.ts';
import { type KubeObject, SECRETS } from '../../src/kube/resource.ts';
import { clusterAccess } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import type { PullRequest } from '../support/github/state.ts';
import { inventory, leftovers } from '../support/host-inventory.ts';
import { type InstalledMayfly, installMayfly } from '../support/installed-mayfly.ts';
import { forwardPort, freePort } from '../support/port-forward.ts';
import { sampleAppFiles } from '../support/sample-repository.ts';
import { sideBySide } from './side-by-side.ts';

export interface StoryOptions {
  /** Of this machine's loopback, where service and previews answer. */
  port: number;
  /** Stop before the pull request is closed, and stay until the signal aborts. */
  keep: boolean;
  say(line?: string): void;
  signal: AbortSignal;
}

const RELEASE = 'mayfly-demo';
const READY_TIMEOUT_MS = 180_000;
const GONE_TIMEOUT_MS = 90_000;
const INVENTORY_TIMEOUT_MS = 60_000;

export async function tellStory({ port, keep, say, signal }: StoryOptions): Promise<void> {
  const timer = stopwatch();
  await using mayfly = await installMayfly({
    name: RELEASE,
    values: {
      publicUrl: `http://localhost:${port}`,
      // Browsers resolve every name below `localhost` to this machine.
      previewUrl: `http://preview.localhost:${port}`,
    },
    localPort: port,
    signal,
  });
  say(`✔ Mayfly installed: helm install ${RELEASE} charts/mayfly  ${timer()}`);
  const before = await inventory(mayfly.cluster.client, limited(signal));
  const files = await sampleAppFiles();
  const repository = await mayfly.github.createRepository('acme/visits', files);
  const pull = await mayfly.github.openPullRequest({ repository, files, title: 'Count the visits' });

  const sinceOpened = stopwatch();
  await deliver(mayfly, 'opened', pull, say);
  const environment = await followUntilReady(mayfly, pull, { say, signal });
  const { name = '' } = environment.metadata;
  const url = environment.status?.endpoints?.[0]?.url ?? '';
  say(`✔ ready ${sinceOpened()} after the pull request was opened`);
  say();
  say(`Preview: ${url}`);
  await showPage(mayfly, url, say);
  await using inside = await reachInside(mayfly, environment, signal);
  await showPods(mayfly, environment, inside.kubeconfig, say);
  await showComment(mayfly, pull, { say, signal });

  if (keep) {
    say(`It stays up until Ctrl-C. In a browser on this machine: ${url}`);
    say(`Inside the virtual cluster: KUBECONFIG=${inside.kubeconfig} kubectl get pods --all-namespaces`);
    say(
      `On the host: KUBECONFIG=${mayfly.cluster.kubeconfig} kubectl get environments --namespace ${RELEASE}`,
    );
    await aborted(signal);
    return;
  }
  const sinceClosed = stopwatch();
  await mayfly.github.close(pull, { merged: true });
  await deliver(mayfly, 'closed', pull, say);
  await eventually(async () => ((await mayfly.environment(name)) === undefined ? true : undefined), {
    what: `${name} is gone`,
    timeoutMs: GONE_TIMEOUT_MS,
    signal,
  });
  say(`✔ torn down ${sinceClosed()} after the merge`);
  const left = await leftOnHost(mayfly, before, signal);
  say(`✔ nothing is left: the host holds the ${before.size} objects that it held before`);
  if (left.length > 0) throw new Error(`left on the host:\n${left.join('\n')}`);
}

async function deliver(
  { github, webhookUrl }: InstalledMayfly,
  action: string,
  pull: PullRequest,
  say: StoryOptions['say'],
): Promise<void> {
  say();
  const { status } = await github.deliver(action, pull, { to: webhookUrl });
  say(`GitHub sends pull_request.${action}, signed: Mayfly answers ${status}`);
  if (status !== 202) throw new Error(`the delivery was answered with ${status}`);
}

/** Says each step as it is done. */
async function followUntilReady(
  mayfly: InstalledMayfly,
  pull: PullRequest,
  { say, signal }: Pick<StoryOptions, 'say' | 'signal'>,
): Promise<Environment> {
  const told = new Set<string>();
  const found = await eventually<{ environment: Environment } | { failed: string }>(
    async () => {
      const [environment] = await mayfly.environments();
      const { phase, commit, steps = [], conditions } = environment?.status ?? {};
      for (const { name, durationMs } of steps) {
        if (durationMs === undefined || told.has(name)) continue;
        told.add(name);
        say(`  ✔ ${name.padEnd(16)}${seconds(durationMs)}`);
      }
      if (phase === 'Failed') return { failed: findCondition(conditions, 'Ready')?.message ?? phase };
      // The pull request is told last.
      const isReady = phase === 'Ready' && commit === pull.headCommit && told.has('report');
      return environment && isReady ? { environment } : undefined;
    },
    { what: 'the environment is ready', timeoutMs: READY_TIMEOUT_MS, intervalMs: 50, signal },
  );
  if ('failed' in found) throw new Error(`the environment failed: ${found.failed}`);
  return found.environment;
}

async function showPage(mayfly: InstalledMayfly, url: string, say: StoryOptions['say']): Promise<void> {
  for (const time of ['first', 'second']) {
    const { status, body } = await mayfly.openPreview(url);
    if (status !== 200) throw new Error(`GET ${url} answers ${status}: ${body}`);
    const text = body.replaceAll(/<title>.*<\/title>|<[^>]+>/g, '').trim();
    say(`  GET / for the ${time} time: ${status}, ${text.replaceAll(/\s*\n\s*/g, ' · ')}`);
  }
  say('  The visits are counted by the Redis behind Service `redis` of the preview.');
}

interface Inside extends AsyncDisposable {
  kubeconfig: string;
}

/**
 * The virtual cluster's own kubeconfig, for a port of this machine. Not the one that the service hands out: kubectl sends
 * the token in that one over TLS only, which the demo's service does not have.
 */
async function reachInside(
  { cluster }: InstalledMayfly,
  { metadata, status }: Environment,
  signal: AbortSignal,
): Promise<Inside> {
  const { name = '' } = metadata;
  const namespace = status?.host?.namespace ?? '';
  await using opened = new AsyncDisposableStack();
  const localPort = await freePort();
  opened.use(await forwardPort({ cluster, namespace, service: name, servicePort: 443, localPort, signal }));
  const folder = await mkdtemp(join(tmpdir(), `${RELEASE}-`));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const key = { namespace, name: `${name}-kubeconfig` };
  const secret = await cluster.client.get<KubeObject & { data: { config: string } }>(SECRETS, key, {
    signal,
  });
  const config = parse(Buffer.from(secret.data.config, 'base64').toString());
  Object.assign(config.clusters[0].cluster, {
    server: `https://127.0.0.1:${localPort}`,
    'tls-server-name': 'kubernetes.default.svc',
  });
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, stringify(config), { mode: 0o600 });
  const stack = opened.move();
  return { kubeconfig, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const INSIDE_COLUMNS = 'NAMESPACE:.metadata.namespace,NAME:.metadata.name,STATUS:.status.phase';
const HOST_COLUMNS = 'NAME:.metadata.name,STATUS:.status.phase,NODE:.spec.nodeName';

async function showPods(
  { cluster }: InstalledMayfly,
  { status }: Environment,
  kubeconfig: string,
  say: StoryOptions['say'],
): Promise<void> {
  const namespace = status?.host?.namespace ?? '';
  const inside = await clusterAccess(kubeconfig);
  try {
    const left = await inside.kubectl(['get', 'pods', '-A', '-o', `custom-columns=${INSIDE_COLUMNS}`]);
    const right = await cluster.kubectl([
      'get',
      'pods',
      '-n',
      namespace,
      '-o',
      `custom-columns=${HOST_COLUMNS}`,
    ]);
    say();
    say(
      sideBySide(
        { title: '$ kubectl get pods -A   (inside)', text: left },
        { title: `$ kubectl get pods -n ${namespace}   (host)`, text: right },
      ),
    );
  } finally {
    await inside.client.close();
  }
}

async function showComment(
  { github }: InstalledMayfly,
  pull: PullRequest,
  { say, signal }: Pick<StoryOptions, 'say' | 'signal'>,
): Promise<void> {
  const comment = await eventually(async () => github.comments(pull)[0], {
    what: 'the pull request has its comment',
    timeoutMs: READY_TIMEOUT_MS,
    signal,
  });
  say();
  say('The comment on the pull request:');
  const lines = comment.body.trim().split('\n');
  for (const line of lines.filter((text) => !text.startsWith('<!--'))) say(`  > ${line}`);
  say();
}

/** What the host holds and did not before; waits for what is still going. */
async function leftOnHost(
  mayfly: InstalledMayfly,
  before: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<string[]> {
  let left: string[] = [];
  await eventually(
    async (limit) => {
      left = leftovers(before, await inventory(mayfly.cluster.client, limit));
      return left.length === 0 ? true : undefined;
    },
    { what: 'nothing is left', timeoutMs: GONE_TIMEOUT_MS, intervalMs: 500, signal },
  ).catch((error: unknown) => {
    if (left.length === 0) throw error;
  });
  return left;
}

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(INVENTORY_TIMEOUT_MS)]);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function stopwatch(): () => string {
  const startMs = performance.now();
  return () => seconds(performance.now() - startMs);
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
