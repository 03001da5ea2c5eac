// The README's first command, from outside: what it prints, and that it takes away what it brought however it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ClusterAccess, clusterAccess } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { inventory, leftovers } from '../support/host-inventory.ts';

const DEMO_TIMEOUT_MS = 240_000;
/** It outlives the release that brought it, on purpose. */
const KEPT = /^customresourcedefinitions\.apiextensions\.k8s\.io /;

let host: ClusterAccess;
let before: Set<string>;

const everything = () => inventory(host.client, AbortSignal.timeout(60_000));
const left = async () => leftovers(before, await everything()).filter((entry) => !KEPT.test(entry));

beforeAll(async () => {
  host = await clusterAccess();
  before = await everything();
});
afterAll(() => host.client.close());

function startDemo(...args: string[]) {
  const child = spawn('npm', ['run', '--silent', 'demo', '--', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // As a terminal does it: Ctrl-C is for the whole group.
    detached: true,
    timeout: DEMO_TIMEOUT_MS,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    printed: () => printed,
    /** npm passes an interrupt on, waits, and then ends by it too. */
    end: async () => {
      const [code, signal] = await ended;
      return signal ?? code;
    },
    async prints(pattern: RegExp): Promise<RegExpExecArray> {
      const outcome = await Promise.race([
        ended.then(() => undefined),
        eventually(async () => pattern.exec(printed) ?? undefined, {
          what: `it prints ${pattern}`,
          timeoutMs: DEMO_TIMEOUT_MS,
        }),
      ]);
      if (!outcome) throw new Error(`the demo ended without printing ${pattern}: ${printed}`);
      return outcome;
    },
    interrupt: () => process.kill(-(child.pid ?? 0), 'SIGINT'),
  };
}

/** Browsers take every name below `localhost` for this machine; Node asks the system's resolver. */
function statusInBrowser(url: string): Promise<number | undefined> {
  const { host: named, port } = new URL(url);
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, headers: { host: named }, timeout: 10_000 }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    }).once('error', reject);
  });
}

test('the demo tells of a pull request from opened to gone', async () => {
  const demo = startDemo();
  expect(await demo.end(), demo.printed()).toBe(0);
  const printed = demo.printed();
  for (const step of ['namespace', 'control-plane', 'api-ready', 'deploy', 'publish', 'report']) {
    expect(printed).toMatch(new RegExp(`✔ ${step} +\\d+\\.\\d s`));
  }
  expect(printed).toMatch(/Preview: http:\/\/visits-1-[a-z0-9]+\.preview\.localhost:\d+/);
  expect(printed).toMatch(/second time: 200, .*Visits: 2/);
  expect(printed).toMatch(/redis-\S+ +Running +│ +redis-\S+-default-visits-1-\S+ +Running/);
  expect(printed).toContain('**Preview ready**');
  expect(printed).toContain('nothing is left');
  expect(await left()).toEqual([]);
});

test('the demo with --keep answers a browser of this machine until Ctrl-C, and then cleans up', async () => {
  const demo = startDemo('--keep');
  const [, url = ''] = await demo.prints(/In a browser on this machine: (\S+)/);
  expect(await statusInBrowser(url)).toBe(200);
  demo.interrupt();
  expect(await demo.end(), demo.printed()).toBe('SIGINT');
  expect(await left()).toEqual([]);
});

test('a demo that is interrupted while its environment is made cleans up', async () => {
  const demo = startDemo();
  await demo.prints(/✔ control-plane/);
  demo.interrupt();
  expect(await demo.end(), demo.printed()).toBe('SIGINT');
  expect(await left()).toEqual([]);
});
