import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startScriptedServer } from '../../test/support/scripted-server.ts';
import { TimeoutError, UnavailableError } from '../lib/errors.ts';
import { openUpgrade, type UpgradeRequest, type UpgradeResult } from './upgrade.ts';

const request: UpgradeRequest = {
  method: 'POST',
  path: '/api/v1/namespaces/ns/pods/a/exec?command=sh',
  headers: { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': 'v4.channel.k8s.io' },
  signal: new AbortController().signal,
  timeoutMs: 5_000,
};

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n';

async function start(onUpgrade?: (socket: Duplex, headers: NodeJS.Dict<string | string[]>) => void) {
  const server = await startScriptedServer((_, response) => {
    response
      .writeHead(404, { 'content-type': 'application/json' })
      .end('{"kind":"Status","reason":"NotFound"}');
  });
  if (onUpgrade) server.server.on('upgrade', ({ headers }, socket) => onUpgrade(socket, headers));
  onTestFinished(() => server.close());
  return server;
}

function upgraded(result: UpgradeResult) {
  if (result.kind !== 'upgraded') throw new Error(`not upgraded but ${result.response.statusCode}`);
  return result;
}

describe('an upgraded stream', () => {
  it('carries bytes both ways, those that came with the head included', async () => {
    const server = await start((socket) => {
      socket.write(`${SWITCH}first`);
      socket.on('data', (chunk) => socket.end(`echo ${chunk}`));
    });
    const { socket, head, status, rawHeaders } = upgraded(await openUpgrade({ server: server.url }, request));
    expect(status).toBe(101);
    expect(rawHeaders).toEqual(['Connection', 'Upgrade', 'Upgrade', 'SPDY/3.1']);
    let text = head.toString();
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.write('hello');
    await once(socket, 'end');
    expect(text).toBe('firstecho hello');
    socket.destroy();
  });

  it('is asked for with our credentials, never with those handed in', async () => {
    const seen: NodeJS.Dict<string | string[]>[] = [];
    const server = await start((socket, headers) => {
      seen.push(headers);
      socket.end(SWITCH);
    });
    const headers = { ...request.headers, authorization: 'Bearer of-the-caller' };
    for (const token of [() => 'ours', undefined]) {
      upgraded(await openUpgrade({ server: server.url, token }, { ...request, headers })).socket.destroy();
    }
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer ours', undefined]);
    expect(seen[0]).toMatchObject({ upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' });
  });

  it('hands on the answer of a server that does not upgrade', async () => {
    const server = await start();
    const result = await openUpgrade({ server: server.url }, request);
    if (result.kind !== 'response') throw new Error('upgraded');
    expect(result.response.statusCode).toBe(404);
    let text = '';
    for await (const chunk of result.response) text += chunk;
    expect(JSON.parse(text)).toMatchObject({ reason: 'NotFound' });
  });

  it('is given up when the server is silent, and has no time limit once it is open', async () => {
    const silent = await start(() => undefined);
    const limited = { ...request, timeoutMs: 30 };
    await expect(openUpgrade({ server: silent.url }, limited)).rejects.toBeInstanceOf(TimeoutError);

    const late = Promise.withResolvers<Duplex>();
    const open = await start((socket) => {
      socket.write(SWITCH);
      late.resolve(socket);
    });
    const { socket } = upgraded(await openUpgrade({ server: open.url }, limited));
    await new Promise((resolve) => setTimeout(resolve, 60));
    (await late.promise).write('still here');
    expect(String((await once(socket, 'data'))[0])).toBe('still here');
    socket.destroy();
  });

  it('is unavailable when the connection breaks during the handshake', async () => {
    const server = await start((socket) => void socket.destroy());
    await expect(openUpgrade({ server: server.url }, request)).rejects.toBeInstanceOf(UnavailableError);
  });

  it('ends with the signal, during the handshake and when it is open', async () => {
    const silent = await start(() => undefined);
    const reason = new Error('shutting down');
    const stop = new AbortController();
    setTimeout(() => stop.abort(reason), 20);
    const outcome = openUpgrade({ server: silent.url }, { ...request, signal: stop.signal });
    await expect(outcome).rejects.toBe(reason);

    const open = await start((socket) => void socket.write(SWITCH));
    const later = new AbortController();
    const { socket } = upgraded(
      await openUpgrade({ server: open.url }, { ...request, signal: later.signal }),
    );
    later.abort(reason);
    await once(socket, 'close');
  });
});
