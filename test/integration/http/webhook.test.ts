// GitHub's deliveries at the port: signed ones become one job, all others nothing.
import { createHmac, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { syncPullRequest } from '../../../src/queue/jobs.ts';
import { KEY_PREFIX } from '../../../src/queue/redis.ts';
import { eventually } from '../../support/eventually.ts';
import { type Answer, startService, type TestService, WEBHOOK_SECRETS } from './service.ts';

const PATH = '/v1/webhooks/github';

let service: TestService;
let redis: Redis;

beforeAll(async () => {
  service = await startService();
  redis = new Redis(service.redis.url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await service[Symbol.asyncDispose]();
});

function pullRequestEvent({ number = 412, action = 'opened' } = {}): string {
  return JSON.stringify({
    action,
    number,
    repository: { id: 1, full_name: 'acme/shop' },
    installation: { id: 7 },
  });
}

function signature(body: string, secret = WEBHOOK_SECRETS[0] ?? ''): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

function deliver(body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return service.call(PATH, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'pull_request',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': signature(body),
      ...headers,
    },
  });
}

async function queued(): Promise<unknown[]> {
  const queue = new Queue(syncPullRequest.name, { connection: redis, prefix: KEY_PREFIX });
  const jobs = await queue.getJobs();
  await queue.close();
  return jobs.map(({ data }) => data);
}

describe('a signed delivery', () => {
  test('becomes a job that says where to look, and nothing else', async () => {
    const answer = await deliver(pullRequestEvent(), { 'x-github-delivery': 'd-1' });
    expect(answer.status).toBe(202);
    expect(JSON.parse(answer.body)).toEqual({ deliveryId: 'd-1', result: 'queued' });
    expect(await queued()).toEqual([
      { repository: 'acme/shop', repositoryId: 1, installationId: 7, number: 412 },
    ]);
  });

  test('is taken with the old secret while secrets are rotated', async () => {
    const body = pullRequestEvent();
    const answer = await deliver(body, { 'x-hub-signature-256': signature(body, WEBHOOK_SECRETS[1]) });
    expect(answer.status).toBe(202);
  });

  test('F10: that comes a hundred times at once is one job', async () => {
    const id = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => deliver(pullRequestEvent(), { 'x-github-delivery': id })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    const results = answers.map(({ body }) => JSON.parse(body).result);
    expect(results.filter((result) => result === 'queued')).toHaveLength(1);
    expect(await queued()).toHaveLength(1);
  });

  test('F10: that is replayed after its job is done queues nothing', async () => {
    await deliver(pullRequestEvent(), { 'x-github-delivery': 'd-2' });
    const queue = new Queue(syncPullRequest.name, { connection: redis, prefix: KEY_PREFIX });
    await queue.obliterate({ force: true });
    await queue.close();
    const replay = await deliver(pullRequestEvent(), { 'x-github-delivery': 'd-2' });
    expect(JSON.parse(replay.body)).toMatchObject({ result: 'duplicate' });
    expect(await queued()).toEqual([]);
  });

  test('about a thing that does not concern us is taken and ignored', async () => {
    const answer = await deliver(pullRequestEvent(), { 'x-github-event': 'star' });
    expect(JSON.parse(answer.body)).toMatchObject({ result: 'ignored' });
    expect(await queued()).toEqual([]);
  });
});

describe('T19: a delivery is refused and nothing queued', () => {
  const body = pullRequestEvent();
  test.each([
    ['with a wrong signature', signature(body, 'guessed'), 401],
    ['with the signature of another body', signature(`${body} `), 401],
    ['with a short signature', 'sha256=00', 401],
    ['with the older kind of signature', `sha1=${'0'.repeat(40)}`, 401],
    ['with an empty signature', '', 401],
  ])('%s', async (_, header, status) => {
    const answer = await deliver(body, { 'x-hub-signature-256': header });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toContain('problem+json');
    expect(await queued()).toEqual([]);
  });

  test('when it is signed but not what GitHub sends', async () => {
    const answer = await deliver('{"action":"opened"}');
    expect(answer.status).toBe(400);
    expect(await queued()).toEqual([]);
  });

  test('when it is larger than GitHub ever sends', async () => {
    const huge = `"${'x'.repeat(26 * 1024 * 1024)}"`;
    const answer = await deliver(huge).catch((error: Error) => error);
    // The server stops reading: the client sees the answer, or that the connection was closed while it still wrote.
    if (!(answer instanceof Error)) expect(answer.status).toBe(413);
    expect(await queued()).toEqual([]);
  });

  test('without a signature before its body is read', async () => {
    const socket = connect(service.port, '127.0.0.1');
    socket.write(`POST ${PATH} HTTP/1.1\r\nHost: mayfly.test\r\nContent-Length: 1000000\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 401 /);
  });
});

test('F6: a delivery that comes while Redis is away is asked for again, and then counts', async () => {
  await service.redis.kill();
  const refused = await deliver(pullRequestEvent(), { 'x-github-delivery': 'd-3' });
  expect(refused.status).toBe(503);
  await service.redis.start();
  const taken = await eventually(
    async () => {
      const answer = await deliver(pullRequestEvent(), { 'x-github-delivery': 'd-3' });
      return answer.status === 202 ? answer : undefined;
    },
    { what: 'the delivery is taken', timeoutMs: 10_000, intervalMs: 50 },
  );
  expect(JSON.parse(taken.body)).toMatchObject({ result: 'queued' });
  expect(await queued()).toHaveLength(1);
});
