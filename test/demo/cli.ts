// `npm run demo [-- --keep]`: sets up a host cluster, tells the story on it, and takes away what it brought, also on Ctrl-C.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { errorMessage } from '../../src/lib/errors.ts';
import { externalKubeconfig } from '../host/cluster.ts';
import { freePort } from '../support/port-forward.ts';
import { SAMPLE_APP_FOLDER, SAMPLE_APP_IMAGE } from '../support/sample-repository.ts';
import { tellStory } from './story.ts';

const USAGE = 'Usage: npm run demo [-- --keep]';
/** Where it is free, the URLs are the usual ones. */
const PREFERRED_PORT = 8080;
const HOST_CLI = fileURLToPath(new URL('../host/cli.ts', import.meta.url));

const say = (line = '') => process.stdout.write(`${line}\n`);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (!interrupted.signal.aborted) say('\nCleaning up; this takes some seconds.');
    interrupted.abort(new Error(`received ${name}`));
  });
}

/** Runs a command of the test host; resolves with whether it succeeded. The signal ends it and everything that it runs. */
async function host(args: readonly string[], signal?: AbortSignal, quiet = false): Promise<boolean> {
  signal?.throwIfAborted();
  // A group of its own, which a Ctrl-C at the terminal spares: ending it is up to us.
  const child = spawn(process.execPath, [HOST_CLI, ...args], {
    detached: true,
    stdio: ['ignore', quiet ? 'ignore' : 'inherit', quiet ? 'ignore' : 'inherit'],
  });
  const endGroup = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
  };
  signal?.addEventListener('abort', endGroup, { once: true });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    signal?.throwIfAborted();
    return code === 0;
  } finally {
    signal?.removeEventListener('abort', endGroup);
  }
}

async function setUp(args: readonly string[]): Promise<void> {
  if (!(await host(args, interrupted.signal))) throw new Error(`npm run host -- ${args.join(' ')} failed`);
}

function options(): { keep: boolean } {
  try {
    const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
    return { keep: values.keep };
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n${USAGE}\n`);
    process.exit(2);
  }
}

const { keep } = options();
const isOurs = externalKubeconfig() === undefined && !(await host(['status'], undefined, true));
try {
  await setUp(['up']);
  await setUp(['load']);
  await setUp(['load', `${SAMPLE_APP_IMAGE}=${SAMPLE_APP_FOLDER}`]);
  say();
  await tellStory({ port: await freePort(PREFERRED_PORT), keep, say, signal: interrupted.signal });
} catch (error) {
  if (!interrupted.signal.aborted) process.stderr.write(`${errorMessage(error)}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
} finally {
  if (isOurs) await host(['down']);
}
