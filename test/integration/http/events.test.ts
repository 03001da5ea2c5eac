// The event stream of an environment, as a client of server-sent events sees it.
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ENVIRONMENTS, type Environment } from '../../../src/environments/resource.ts';
import { NAMESPACE, startService, statusWith, type TestService, TOKENS } from './service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

interface StreamedEvent {
  event: string;
  id: string;
  data: { name: string; phase: string };
}

async function open(name: string, lastEventId?: string): Promise<IncomingMessage> {
  const headers = {
    host: 'mayfly.test',
    authorization: `Bearer ${TOKENS.alice}`,
    ...(lastEventId && { 'last-event-id': lastEventId }),
  };
  const path = `/v1/environments/${name}/events`;
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port: service.port, path, headers, agent: false }, resolve).on('error', reject);
  });
}

async function* eventsOf(stream: IncomingMessage): AsyncGenerator<StreamedEvent> {
  let fields: Record<string, string> = {};
  for await (const line of createInterface(stream)) {
    if (line === '' && fields.event) {
      yield { event: fields.event, id: fields.id ?? '', data: JSON.parse(fields.data ?? '') };
      fields = {};
    }
    const colon = line.indexOf(': ');
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
}

function setStatus(name: string, status: Environment['status']): Environment {
  return service.host.change<Environment>(ENVIRONMENTS, `${NAMESPACE}/${name}`, (environment) => {
    environment.status = status;
  });
}

test('begins with the environment as it is, tells each change, and ends with its deletion', async () => {
  await service.environment('told');
  const stream = await open('told');
  expect(stream.headers['content-type']).toMatch(/^text\/event-stream/);
  const events = eventsOf(stream);
  expect((await events.next()).value).toMatchObject({ event: 'environment', data: { phase: 'Pending' } });

  setStatus('told', statusWith(['Provisioned']));
  expect((await events.next()).value).toMatchObject({ event: 'environment', data: { phase: 'Deploying' } });
  setStatus('told', statusWith(['Provisioned', 'Ready']));
  expect((await events.next()).value).toMatchObject({ event: 'environment', data: { phase: 'Ready' } });

  service.host.remove(ENVIRONMENTS, `${NAMESPACE}/told`);
  expect((await events.next()).value).toMatchObject({ event: 'deleted', data: { name: 'told' } });
  expect((await events.next()).done).toBe(true);
});

test('does not repeat what the client has seen', async () => {
  const { metadata } = await service.environment('seen');
  const stream = await open('seen', metadata.resourceVersion);
  const events = eventsOf(stream);
  const changed = setStatus('seen', statusWith(['Provisioned']));
  expect((await events.next()).value).toMatchObject({
    id: changed.metadata.resourceVersion,
    data: { phase: 'Deploying' },
  });
  stream.destroy();
});

test('tells nothing of another environment', async () => {
  await service.environment('mine');
  await service.environment('other');
  const stream = await open('mine');
  const events = eventsOf(stream);
  await events.next();
  setStatus('other', statusWith(['Provisioned']));
  setStatus('mine', statusWith(['Provisioned', 'Ready']));
  expect((await events.next()).value).toMatchObject({ data: { name: 'mine', phase: 'Ready' } });
  stream.destroy();
});

test('is not found for who may not see the environment', async () => {
  const answer = await service.api('bob', 'GET', '/v1/environments/mine/events');
  expect(answer.status).toBe(404);
});

test('F9: ends at once when the process must end', async () => {
  await using ending = await startService();
  await ending.environment('last');
  const headers = { host: 'mayfly.test', authorization: `Bearer ${TOKENS.alice}` };
  const stream = await new Promise<IncomingMessage>((resolve) => {
    get({ host: '127.0.0.1', port: ending.port, path: '/v1/environments/last/events', headers }, resolve);
  });
  const events = eventsOf(stream);
  await events.next();
  const startedMs = performance.now();
  await ending.stop({ drainMs: 10_000 });
  expect((await events.next()).done).toBe(true);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});
