import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { startScriptedServer } from '../../test/support/scripted-server.ts';
import { UnavailableError } from '../lib/errors.ts';
import { RESPONSE_TOO_LARGE } from './body.ts';
import { createKubeClient } from './client.ts';
import { createReflector, type ReflectorOptions } from './reflector.ts';
import { CONFIG_MAPS, type KubeObject, keyOf } from './resource.ts';
import { type Change, createStore } from './store.ts';
import { createTransport } from './transport.ts';

const map = (name: string, resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'ns', name, uid: name, resourceVersion },
});

/** What the server is to answer: a list, a refusal, or the beginning of a watch that then stays open or ends. */
interface Answers {
  list(
    query: URLSearchParams,
    count: number,
  ): { status?: number; headers?: Record<string, string>; body: object };
  watch(query: URLSearchParams, count: number, response: ServerResponse): void;
}

const listOf = (resourceVersion: string, items: KubeObject[], next?: string) => ({
  body: { metadata: { resourceVersion, continue: next }, items },
});
const refusal = (status: number, reason: string, headers = {}) => ({
  status,
  headers,
  body: { kind: 'Status', code: status, reason, message: reason },
});
const send = (response: ServerResponse, ...events: [type: string, object: object][]) => {
  for (const [type, object] of events) response.write(`${JSON.stringify({ type, object })}\n`);
};
const bookmark = (resourceVersion: string) => ({ kind: 'ConfigMap', metadata: { resourceVersion } });
const stayOpen: Answers['watch'] = (_, __, response) => response.flushHeaders();

async function start({ list, watch }: Answers, options: Partial<ReflectorOptions<KubeObject>> = {}) {
  const lists: URLSearchParams[] = [];
  const watches: URLSearchParams[] = [];
  const states: string[] = [];
  const server = await startScriptedServer(({ url }, response) => {
    const query = new URL(url, 'http://api').searchParams;
    if (query.has('watch')) {
      watch(query, watches.push(query), response);
      return;
    }
    const { status = 200, headers, body } = list(query, lists.push(query));
    response.writeHead(status, headers).end(JSON.stringify(body));
  });
  const client = createKubeClient(createTransport({ server: server.url }, { process: 'test' }));
  const store = createStore<KubeObject>();
  const changes: string[] = [];
  const describeChange = (change: Change<KubeObject>) => {
    const object = 'object' in change ? change.object : change.previous;
    return `${change.type} ${keyOf(object)}@${object.metadata.resourceVersion}`;
  };
  const stop = new AbortController();
  const reflector = createReflector({
    client,
    type: CONFIG_MAPS,
    namespace: 'ns',
    store,
    onChange: (change) => changes.push(describeChange(change)),
    logger: pino({ level: 'silent' }),
    backoff: { baseMs: 5, maxMs: 20 },
    metrics: {
      state: (state) => states.at(-1) !== state && states.push(state),
      heard: () => undefined,
      listed: () => states.push('listed'),
      failed: (code) => states.push(code),
    },
    ...options,
  });
  const running = reflector.run(stop.signal);
  const end = async () => {
    stop.abort(new Error('end of test'));
    await running;
    await client.close();
    await server.close();
  };
  onTestFinished(end);
  return { reflector, store, changes, lists, watches, states, server, end };
}

const versions = (watches: URLSearchParams[]) => watches.map((query) => query.get('resourceVersion'));

describe('reflector', () => {
  it('lists in pages with a consistent read, then watches from where the list ended', async () => {
    const { reflector, store, changes, lists, watches } = await start({
      list: (query) =>
        query.has('continue') ? listOf('9', [map('b', '2')]) : listOf('9', [map('a', '1')], 'page-2'),
      watch(_, __, response) {
        send(response, ['ADDED', map('c', '10')], ['MODIFIED', map('a', '11')], ['DELETED', map('b', '12')]);
      },
    });
    await reflector.synced(AbortSignal.timeout(5_000));
    await expect
      .poll(() => changes)
      .toEqual(['added ns/a@1', 'added ns/b@2', 'added ns/c@10', 'updated ns/a@11', 'deleted ns/b@12']);
    expect(store.list().map(keyOf).sort()).toEqual(['ns/a', 'ns/c']);
    expect(lists.map((query) => query.toString())).toEqual(['limit=500', 'limit=500&continue=page-2']);
    expect(versions(watches)).toEqual(['9']);
    expect(watches[0]?.get('allowWatchBookmarks')).toBe('true');
    expect(Number(watches[0]?.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
    expect(Number(watches[0]?.get('timeoutSeconds'))).toBeLessThanOrEqual(600);
  });

  it('has the change in the store before it tells of it', async () => {
    const seen: unknown[] = [];
    const run = await start(
      {
        list: () => listOf('1', [map('a', '1')]),
        watch: (_, __, response) => send(response, ['DELETED', map('a', '2')]),
      },
      { onChange: () => seen.push(run.store.size) },
    );
    await expect.poll(() => seen).toEqual([1, 0]);
  });

  it('resumes a watch that ended, was cut off or failed from the newest version it saw, bookmarks included (F3)', async () => {
    const { watches, lists } = await start({
      list: () => listOf('1', []),
      watch(_, count, response) {
        if (count === 1) send(response, ['ADDED', map('a', '2')]);
        if (count === 2) send(response, ['BOOKMARK', bookmark('30')]);
        if (count === 3) send(response, ['MODIFIED', map('a', '40')]);
        if (count === 4) response.writeHead(500);
        if (count === 3) setTimeout(() => response.destroy(), 10);
        else if (count <= 4) response.end();
        else response.flushHeaders();
      },
    });
    await expect.poll(() => versions(watches)).toEqual(['1', '2', '30', '40', '40']);
    expect(lists).toHaveLength(1);
  });

  it.each<[string, Answers['watch']]>([
    [
      'in HTTP',
      (_, __, response) =>
        void response.writeHead(410).end(JSON.stringify({ kind: 'Status', reason: 'Expired' })),
    ],
    [
      'inside the stream',
      (_, __, response) => {
        send(response, ['ERROR', { kind: 'Status', code: 410, reason: 'Expired' }]);
        response.end();
      },
    ],
  ])('lists again after 410 %s, and tells of deletions that nobody saw (F3)', async (_, gone) => {
    const { changes, store, watches } = await start({
      list: (_query, count) =>
        count === 1
          ? listOf('5', [map('stays', '1'), map('changes', '2'), map('goes', '3')])
          : listOf('50', [map('stays', '1'), map('changes', '40'), map('comes', '41')]),
      watch: (query, count, response) =>
        count === 1 ? gone(query, count, response) : response.flushHeaders(),
    });
    await expect.poll(() => versions(watches)).toEqual(['5', '50']);
    expect(changes.slice(3)).toEqual(['updated ns/changes@40', 'added ns/comes@41', 'deleted ns/goes@3']);
    expect(store.list().map(keyOf).sort()).toEqual(['ns/changes', 'ns/comes', 'ns/stays']);
  });

  it('keeps what it has while the server answers lists with errors, and never takes that for an empty list', async () => {
    const { changes, store, states, lists } = await start({
      list: (_, count) => {
        if (count === 1) return listOf('5', [map('a', '1')]);
        return count < 6 ? refusal(503, 'ServiceUnavailable') : listOf('9', [map('a', '1')]);
      },
      watch(_, count, response) {
        if (count === 1) response.writeHead(410).end('{}');
        else response.flushHeaders();
      },
    });
    await expect.poll(() => lists.length).toBe(6);
    await expect.poll(() => states.at(-1)).toBe('watching');
    expect(changes).toEqual(['added ns/a@1']);
    expect(store.size).toBe(1);
  });

  it('starts the list anew when its continue token expires, and takes nothing from the first part', async () => {
    const { changes, lists } = await start({
      list: (query, count) => {
        if (query.has('continue'))
          return count === 2 ? refusal(410, 'Expired') : listOf('9', [map('c', '3')]);
        return listOf('9', [map(count === 1 ? 'old' : 'new', '1')], 'more');
      },
      watch: stayOpen,
    });
    await expect.poll(() => changes).toEqual(['added ns/new@1', 'added ns/c@3']);
    expect(lists.map((query) => query.get('continue'))).toEqual([null, 'more', null, 'more']);
  });

  it('waits as long as the server asks for', async () => {
    const times: number[] = [];
    const { states } = await start({
      list: (_, count) => {
        times.push(performance.now());
        return count === 1 ? refusal(429, 'TooManyRequests', { 'retry-after': '1' }) : listOf('1', []);
      },
      watch: stayOpen,
    });
    await expect.poll(() => times.length, { timeout: 5_000 }).toBe(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
    expect(states.slice(0, 3)).toEqual(['listing', 'TooManyRequests', 'backing-off']);
  });

  it('gives up a silent connection and resumes (F3)', async () => {
    const { watches, states } = await start(
      { list: () => listOf('1', []), watch: stayOpen },
      { idleTimeoutMs: 30 },
    );
    await expect.poll(() => watches.length).toBeGreaterThan(2);
    expect(states).toContain('WatchSilent');
    expect(new Set(versions(watches))).toEqual(new Set(['1']));
  });

  it('lists again when resuming fails several times in a row: the server may be another one', async () => {
    const { watches, changes } = await start({
      list: (_, count) => (count === 1 ? listOf('900', [map('a', '800')]) : listOf('3', [map('b', '2')])),
      watch(query, _, response) {
        if (query.get('resourceVersion') === '900') response.writeHead(504).end('{}');
        else response.flushHeaders();
      },
    });
    await expect.poll(() => changes).toEqual(['added ns/a@800', 'added ns/b@2', 'deleted ns/a@800']);
    await expect.poll(() => versions(watches)).toEqual(['900', '900', '900', '900', '3']);
  });

  it('does not reopen watches without pause when each ends at once', async () => {
    const times: number[] = [];
    const watch: Answers['watch'] = (_, __, response) => {
      times.push(performance.now());
      response.end();
    };
    const backoff = { baseMs: 50, maxMs: 50 };
    const { states } = await start({ list: () => listOf('1', []), watch }, { backoff });
    await expect.poll(() => times.length).toBeGreaterThanOrEqual(3);
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(2 * 24);
    expect(states).toContain('ShortWatch');
  });

  it('asks for smaller pages when one is too large to be taken', async () => {
    const client: ReflectorOptions<KubeObject>['client'] = {
      async list(_, { limit = 0 }) {
        limits.push(limit);
        if (limit > 100) throw new UnavailableError({ code: RESPONSE_TOO_LARGE, message: 'too large' });
        return { metadata: { resourceVersion: '1' }, items: [] };
      },
      async *watch(_, { signal }) {
        yield { type: 'BOOKMARK', object: bookmark('2') };
        await once(signal, 'abort');
      },
    };
    const limits: number[] = [];
    const { reflector } = await start({ list: () => listOf('1', []), watch: stayOpen }, { client });
    await reflector.synced(AbortSignal.timeout(5_000));
    expect(limits).toEqual([500, 250, 125, 62]);
  });

  it('takes a kind that the API does not have for an empty collection, and finds it when it comes again', async () => {
    const clock = createManualClock();
    let exists = true;
    let served = 0;
    const { reflector, store, changes, states } = await start(
      {
        list: () => (exists ? listOf('1', [map('a', '1')]) : { status: 404, body: {} }),
        watch: (_, __, response) => (exists ? stayOpen(_, __, response) : response.writeHead(404).end()),
      },
      {
        clock,
        idleTimeoutMs: 20,
        onServed: () => {
          served += 1;
        },
      },
    );
    await expect.poll(() => store.size).toBe(1);
    exists = false;
    await expect.poll(() => clock.sleepers).toBe(1);
    await clock.advance(1_000);
    await expect.poll(() => states.at(-1)).toBe('absent');
    expect(changes).toEqual(['added ns/a@1', 'deleted ns/a@1']);
    expect([reflector.hasSynced(), reflector.isServed(), served]).toEqual([true, false, 0]);
    exists = true;
    await clock.advance(1_500);
    await expect.poll(() => store.size).toBe(1);
    expect([reflector.isServed(), served]).toEqual([true, 1]);
  });

  it('is synced with a kind that the API never had, and goes on trying when it may not be missing', async () => {
    const missing = { list: () => ({ status: 404, body: {} }), watch: stayOpen };
    const optional = await start(missing, { onServed: () => undefined });
    await optional.reflector.synced(AbortSignal.timeout(5_000));
    expect(optional.states.at(-1)).toBe('absent');
    const required = await start(missing);
    await expect.poll(() => required.states.at(-1)).toBe('backing-off');
    expect(required.reflector.hasSynced()).toBe(false);
  });

  it('goes on when whoever is told of a change throws', async () => {
    const { store } = await start(
      {
        list: () => listOf('1', [map('a', '1')]),
        watch: (_, __, response) => send(response, ['ADDED', map('b', '2')]),
      },
      {
        onChange() {
          throw new Error('a bug');
        },
      },
    );
    await expect.poll(() => store.size).toBe(2);
  });

  it('says when the first list is there, and lets others stop waiting for it', async () => {
    let answer = false;
    const { reflector } = await start({
      list: () => (answer ? listOf('1', []) : refusal(503, 'ServiceUnavailable')),
      watch: stayOpen,
    });
    const reason = new Error('stop waiting');
    await expect(reflector.synced(AbortSignal.abort(reason))).rejects.toBe(reason);
    const impatient = new AbortController();
    setTimeout(() => impatient.abort(reason), 20);
    await expect(reflector.synced(impatient.signal)).rejects.toBe(reason);
    expect(reflector.hasSynced()).toBe(false);
    answer = true;
    await reflector.synced(AbortSignal.timeout(5_000));
    expect(reflector.hasSynced()).toBe(true);
  });

  it('stops at once when told to, while it watches and while it backs off', async () => {
    const watching = await start({ list: () => listOf('1', []), watch: stayOpen });
    await expect.poll(() => watching.watches.length).toBe(1);
    await watching.end();
    expect(watching.states.at(-1)).toBe('stopped');

    const failing = await start(
      { list: () => refusal(500, 'InternalError'), watch: stayOpen },
      { backoff: { baseMs: 60_000, maxMs: 60_000 } },
    );
    await expect.poll(() => failing.states.at(-1)).toBe('backing-off');
    await failing.end();
    expect(failing.states.at(-1)).toBe('stopped');
  });
});
