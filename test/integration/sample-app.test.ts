// The sample app is one that Mayfly can read, Helm can render, and that works.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseProjectFile } from '../../src/environments/project-file.ts';
import { run } from '../host/command.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/port-forward.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SAMPLE_APP_FOLDER, SAMPLE_APP_IMAGE, sampleAppFiles } from '../support/sample-repository.ts';
import { helmPath } from '../support/tools.ts';

let redis: TestRedis;
let bridge: Server;

beforeAll(async () => {
  redis = await startRedis();
  bridge = createServer((socket) => {
    const upstream = connect(redis.url);
    socket.on('error', () => upstream.destroy()).pipe(upstream);
    upstream.on('error', () => socket.destroy()).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(bridge, 'listening');
});
afterAll(async () => {
  bridge.close();
  await redis.stop();
});

test('its project file is one that Mayfly reads, and names the chart that is there', async () => {
  const files = await sampleAppFiles();
  const { deploy, expose } = parseProjectFile(files['.mayfly.yaml'] ?? '');
  expect(expose).toEqual([{ service: 'web', port: 80, name: '' }]);
  expect(deploy).toMatchObject({ kind: 'helm', values: { web: { version: '${{ commit }}' } } });
  expect(files).toHaveProperty([`${deploy.kind === 'helm' ? deploy.chart : ''}/Chart.yaml`]);
});

test('its chart renders a web page and a Redis, each behind a Service', async () => {
  const chart = join(SAMPLE_APP_FOLDER, 'deploy/chart');
  const text = await run(await helmPath(), ['template', 'preview', chart, '--set', 'web.version=c0ffee']);
  const objects = parseAllDocuments(text).map((document) => document.toJS());
  expect(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).toSorted()).toEqual([
    'Deployment/redis',
    'Deployment/web',
    'Service/redis',
    'Service/web',
  ]);
  expect(text).toContain(SAMPLE_APP_IMAGE);
  expect(text).toContain('"c0ffee"');
});

test('its page shows the version and counts visits; it is not healthy without Redis', async () => {
  const address = bridge.address();
  const redisPort = typeof address === 'object' ? String(address?.port) : '';
  const port = await freePort();
  const app = spawn(process.execPath, [join(SAMPLE_APP_FOLDER, 'server.ts')], {
    env: { PORT: String(port), VERSION: 'c0ffee<', REDIS_ADDRESS: `127.0.0.1:${redisPort}` },
    stdio: 'ignore',
  });
  try {
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await eventually(async () => ((await get('/healthz')).ok ? true : undefined), {
      what: 'the app is healthy',
      timeoutMs: 10_000,
    });
    const pages = [await (await get('/')).text(), await (await get('/')).text()];
    expect(pages[0]).toContain('c0ffee&#60;');
    expect(pages.map((page) => /id="visits">(\d+)/.exec(page)?.[1])).toEqual(['1', '2']);

    await redis.kill();
    expect((await get('/healthz')).status).toBe(503);
  } finally {
    app.kill();
    await once(app, 'exit');
  }
});
