import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Answer, bodyOf, startScriptedServer } from '../../test/support/scripted-server.ts';
import { InvalidInputError, TimeoutError, UnavailableError } from '../lib/errors.ts';
import { createKubeClient, type WatchEvent } from './client.ts';
import { isAlreadyExists, isConflict, isGone, isNotFound, isRetryable, KubeError } from './errors.ts';
import { CONFIG_MAPS, type KubeObject, NODES, PODS } from './resource.ts';
import { createTransport } from './transport.ts';

const never = () => new AbortController().signal;
const call = { signal: never() };
const pod = (name: string): KubeObject => ({ metadata: { namespace: 'ns', name } });

async function start(answer: Answer, { maxConnections }: { maxConnections?: number } = {}) {
  const server = await startScriptedServer(answer);
  const transport = createTransport({ server: server.url }, { process: 'test', maxConnections });
  const client = createKubeClient(transport);
  onTestFinished(async () => {
    await client.close();
    await server.close();
  });
  return { server, client, transport };
}

const json = (value: object, status = 200, headers = {}): Answer => {
  return (_, response) => void response.writeHead(status, headers).end(JSON.stringify(value));
};

describe('requests', () => {
  it('say who sends them, and carry a token that is asked for each time', async () => {
    const seen: unknown[] = [];
    const server = await startScriptedServer(({ headers }, response) => {
      seen.push([headers['user-agent'], headers.authorization]);
      response.end('ok');
    });
    let rotations = 0;
    const connection = { server: server.url, token: async () => `token-${++rotations}` };
    const client = createKubeClient(createTransport(connection, { process: 'syncer' }));
    expect(await client.text('/readyz', call)).toBe('ok');
    await client.text('/readyz', call);
    await client.close();
    await server.close();
    expect(seen).toEqual([
      ['mayfly/syncer', 'Bearer token-1'],
      ['mayfly/syncer', 'Bearer token-2'],
    ]);
  });

  it('are sent over new connections once credentials are renewed, while those under way go on', async () => {
    let finish = () => {};
    const { server, client, transport } = await start((request, response) => {
      if (request.url === '/slow') finish = () => response.end('finished');
      else response.end('ok');
    });
    const slow = client.text('/slow', call);
    await expect.poll(() => server.requests).toHaveLength(1);
    transport.renew({});
    expect(await client.text('/readyz', call)).toBe('ok');
    expect(server.connections).toBe(2);
    finish();
    expect(await slow).toBe('finished');
  });

  it('are unavailable, not sent without credentials, when the token cannot be read', async () => {
    const token = () => Promise.reject(new Error('ENOENT'));
    const transport = createTransport({ server: 'http://127.0.0.1:1', token }, { process: 'test' });
    const outcome = createKubeClient(transport).text('/', call);
    await expect(outcome).rejects.toMatchObject({ code: 'CredentialUnreadable' });
  });

  it('use one connection one after another, and never more than allowed at once', async () => {
    let atOnce = 0;
    let most = 0;
    const { server, client } = await start(
      async (_, response) => {
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 5));
        atOnce--;
        response.end('ok');
      },
      { maxConnections: 3 },
    );
    for (let count = 0; count < 3; count++) await client.text('/', call);
    expect(server.connections).toBe(1);
    await Promise.all(Array.from({ length: 20 }, () => client.text('/', call)));
    expect(most).toBe(3);
    expect(server.connections).toBe(3);
  });

  it('reach a server behind a base path', async () => {
    const server = await startScriptedServer((_, response) => void response.end('ok'));
    const transport = createTransport({ server: `${server.url}/clusters/one/` }, { process: 'test' });
    await createKubeClient(transport).text('/readyz?verbose', call);
    await transport.close();
    await server.close();
    expect(server.requests).toEqual(['GET /clusters/one/readyz?verbose']);
  });

  it('are the verbs of the Kubernetes API', async () => {
    const bodies: unknown[] = [];
    const { server, client } = await start(async (request, response) => {
      const text = await bodyOf(request);
      bodies.push([request.headers['content-type'], text && JSON.parse(text)]);
      response.end('{"metadata":{},"items":null}');
    });
    const name = { namespace: 'ns', name: 'a' };
    const identity = { apiVersion: 'v1', kind: 'Pod' };
    await client.get(PODS, name, call);
    await client.list(PODS, { ...call, namespace: 'ns', labelSelector: 'a=b,c in (d)', limit: 5 });
    await client.create(PODS, pod('a'), call);
    await client.create(PODS, pod('a'), { ...call, subresource: 'binding' });
    await client.update(PODS, pod('a'), { ...call, subresource: 'status' });
    await client.patch(PODS, name, { type: 'merge', body: { a: null } }, call);
    await client.patch(PODS, name, { type: 'json', body: [{ op: 'remove', path: '/a' }] }, call);
    await client.apply(PODS, pod('a'), { ...call, fieldManager: 'mayfly', force: true });
    await client.delete(PODS, name, { ...call, gracePeriodSeconds: 0, preconditions: { uid: 'u' } });
    await client.get(NODES, { name: 'n' }, call);
    const jsonType = 'application/json';
    expect(server.requests.map((request, index) => [request, ...(bodies[index] as unknown[])])).toEqual([
      ['GET /api/v1/namespaces/ns/pods/a', undefined, ''],
      ['GET /api/v1/namespaces/ns/pods?labelSelector=a%3Db%2Cc+in+%28d%29&limit=5', undefined, ''],
      ['POST /api/v1/namespaces/ns/pods', jsonType, { ...identity, ...pod('a') }],
      ['POST /api/v1/namespaces/ns/pods/a/binding', jsonType, { ...identity, ...pod('a') }],
      ['PUT /api/v1/namespaces/ns/pods/a/status', jsonType, { ...identity, ...pod('a') }],
      ['PATCH /api/v1/namespaces/ns/pods/a', 'application/merge-patch+json', { a: null }],
      ['PATCH /api/v1/namespaces/ns/pods/a', 'application/json-patch+json', [{ op: 'remove', path: '/a' }]],
      [
        'PATCH /api/v1/namespaces/ns/pods/a?fieldManager=mayfly&force=true',
        'application/apply-patch+yaml',
        { ...identity, ...pod('a') },
      ],
      [
        'DELETE /api/v1/namespaces/ns/pods/a',
        jsonType,
        { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid: 'u' } },
      ],
      ['GET /api/v1/nodes/n', undefined, ''],
    ]);
  });

  it('give listed items the kind that the API leaves out', async () => {
    const { client } = await start(json({ metadata: { resourceVersion: '5' }, items: [pod('a')] }));
    expect(await client.list(PODS, call)).toEqual({
      metadata: { resourceVersion: '5' },
      items: [{ apiVersion: 'v1', kind: 'Pod', ...pod('a') }],
    });
  });

  it.each(['', '.', '..'])('never name an object "%s", which would be another path', async (name) => {
    const { server, client } = await start(json({}));
    await expect(client.delete(PODS, { namespace: 'ns', name }, call)).rejects.toBeInstanceOf(
      InvalidInputError,
    );
    await expect(client.update(PODS, pod(name), call)).rejects.toBeInstanceOf(InvalidInputError);
    expect(server.requests).toEqual([]);
  });
});

describe('refusals', () => {
  it('carry reason, details and the time to wait', async () => {
    const details = { name: 'a', kind: 'pods', causes: [{ field: 'spec', reason: 'FieldValueInvalid' }] };
    const status = { kind: 'Status', reason: 'TooManyRequests', message: 'slow down', code: 429, details };
    const { client } = await start(json(status, 429, { 'retry-after': '3' }));
    const error = await client.get(PODS, { namespace: 'ns', name: 'a' }, call).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(KubeError);
    expect(error).toMatchObject({
      status: 429,
      code: 'TooManyRequests',
      reason: 'TooManyRequests',
      message: 'slow down',
      details,
      retryAfterMs: 3_000,
    });
    expect(isRetryable(error)).toBe(true);
  });

  it.each([
    [404, 'NotFound', isNotFound],
    [409, 'Conflict', isConflict],
    [409, 'AlreadyExists', isAlreadyExists],
    [410, 'Expired', isGone],
  ])('with status %i and reason %s answer to one question only', async (status, reason, question) => {
    const { client } = await start(json({ kind: 'Status', reason }, status));
    const error = await client.get(PODS, { namespace: 'ns', name: 'a' }, call).catch((thrown) => thrown);
    const questions = [isNotFound, isConflict, isAlreadyExists, isGone, isRetryable];
    expect(questions.filter((each) => each(error))).toEqual([question]);
  });

  it('in plain text keep their status and text', async () => {
    const { client } = await start((_, response) => void response.writeHead(503).end('starting\n'));
    const error = await client.text('/readyz', call).catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 503, code: 'Http503', message: 'starting' });
    expect(isRetryable(error)).toBe(true);
  });

  it('leave the connection usable', async () => {
    const { server, client } = await start(json({ kind: 'Status', reason: 'NotFound' }, 404));
    for (let count = 0; count < 3; count++) await client.text('/', call).catch(() => undefined);
    expect(server.connections).toBe(1);
  });
});

describe('failures', () => {
  it('to connect are unavailable', async () => {
    const unused = net.createServer().listen(0, '127.0.0.1');
    await once(unused, 'listening');
    const { port } = unused.address() as net.AddressInfo;
    await new Promise((resolve) => unused.close(resolve));
    const transport = createTransport({ server: `http://127.0.0.1:${port}` }, { process: 'test' });
    const error = await createKubeClient(transport)
      .text('/', call)
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toContain('ECONNREFUSED');
  });

  it.each([
    ['before the answer', ''],
    ['inside the answer', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart'],
  ])('of the connection %s are unavailable', async (_, beginning) => {
    const { client } = await start(({ socket }) => void socket.end(beginning, () => socket.destroy()));
    await expect(client.text('/', call)).rejects.toBeInstanceOf(UnavailableError);
  });

  it('to answer at all, or to finish the answer, end with our time limit and free the connection', async () => {
    const { client } = await start(
      ({ url }, response) => {
        if (url === '/quick') response.end('ok');
        if (url === '/stalls') response.writeHead(200).write('part');
      },
      { maxConnections: 1 },
    );
    await expect(client.text('/silent', { ...call, timeoutMs: 30 })).rejects.toBeInstanceOf(TimeoutError);
    await expect(client.text('/stalls', { ...call, timeoutMs: 30 })).rejects.toBeInstanceOf(TimeoutError);
    expect(await client.text('/quick', call)).toBe('ok');
  });

  it('to get a free connection in time end with our time limit', async () => {
    const { client } = await start(() => undefined, { maxConnections: 1 });
    const limit = { ...call, timeoutMs: 50 };
    const outcomes = await Promise.allSettled([client.text('/', limit), client.text('/', limit)]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: expect.any(TimeoutError) });
  });

  it.each(['/silent', '/stalls'])('by the signal throw its reason: %s', async (path) => {
    const { client } = await start(({ url }, response) => {
      if (url === '/stalls') response.writeHead(200).write('part');
    });
    const abort = new AbortController();
    setTimeout(() => abort.abort('shutting down'), 30);
    await expect(client.text(path, { signal: abort.signal })).rejects.toBe('shutting down');
    await expect(client.text(path, { signal: abort.signal })).rejects.toBe('shutting down');
  });

  it('to be JSON say so', async () => {
    const { client } = await start((_, response) => void response.end('<html>'));
    await expect(client.list(PODS, call)).rejects.toMatchObject({ code: 'MalformedResponse' });
  });
});

describe('watches', () => {
  const watch = { resourceVersion: '7', timeoutSeconds: 300, idleTimeoutMs: 5_000 };
  const event = (type: string, name: string) => `${JSON.stringify({ type, object: pod(name) })}\n`;

  it('yield events as they arrive, errors included, and end with the stream', async () => {
    const { server, client } = await start((_, response) => {
      response.write(event('ADDED', 'a'));
      response.write(event('BOOKMARK', ''));
      response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`);
    });
    const events: WatchEvent<KubeObject>[] = [];
    const options = { ...watch, namespace: 'ns', fieldSelector: 'metadata.name=a', signal: never() };
    for await (const each of client.watch(CONFIG_MAPS, options)) events.push(each);
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK', 'ERROR']);
    expect(server.requests).toEqual([
      'GET /api/v1/namespaces/ns/configmaps?resourceVersion=7&timeoutSeconds=300&fieldSelector=metadata.name%3Da&watch=true&allowWatchBookmarks=true',
    ]);
  });

  const drain = async (events: AsyncIterable<unknown>) => {
    const seen = [];
    for await (const each of events) seen.push(each);
    return seen;
  };

  it('that are refused throw', async () => {
    const { client } = await start(json({ kind: 'Status', reason: 'Expired' }, 410));
    const outcome = drain(client.watch(PODS, { ...watch, signal: never() }));
    await expect(outcome).rejects.toSatisfy(isGone);
  });

  it('on a silent connection throw after the idle time, and give it up', async () => {
    const closed = Promise.withResolvers<void>();
    const { client } = await start((request, response) => {
      response.write(event('ADDED', 'a'));
      request.socket.on('close', () => closed.resolve());
    });
    const outcome = drain(client.watch(PODS, { ...watch, idleTimeoutMs: 40, signal: never() }));
    await expect(outcome).rejects.toBeInstanceOf(TimeoutError);
    await closed.promise;
  });

  it('that are cut off throw', async () => {
    const { client } = await start((request, response) => {
      response.write(event('ADDED', 'a'));
      setTimeout(() => request.socket.destroy(), 10);
    });
    const outcome = drain(client.watch(PODS, { ...watch, signal: never() }));
    await expect(outcome).rejects.toBeInstanceOf(UnavailableError);
  });

  it('throw the reason when the signal aborts', async () => {
    const { client } = await start((_, response) => void response.write(event('ADDED', 'a')));
    const abort = new AbortController();
    const reason = new Error('shutting down');
    setTimeout(() => abort.abort(reason), 20);
    await expect(drain(client.watch(PODS, { ...watch, signal: abort.signal }))).rejects.toBe(reason);
  });

  it('leave room for requests', async () => {
    const { client } = await start(
      ({ url }, response) => {
        if (url.includes('watch')) response.write(event('ADDED', 'a'));
        else response.end('ok');
      },
      { maxConnections: 1 },
    );
    const abort = new AbortController();
    const watches = [1, 2, 3].map(() => drain(client.watch(PODS, { ...watch, signal: abort.signal })));
    expect(await client.text('/', call)).toBe('ok');
    abort.abort();
    expect(await Promise.allSettled(watches)).toMatchObject(watches.map(() => ({ status: 'rejected' })));
  });
});
