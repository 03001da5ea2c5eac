// The one comment stays the one comment: through failures, lost answers, lost ids and people's own comments.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commentMarker, upsertComment } from '../../../src/github/upsert-comment.ts';
import { ForbiddenError, NotFoundError, UnavailableError } from '../../../src/lib/errors.ts';
import { secondaryRateLimit } from '../../support/github/faults.ts';
import { startGitHub, type TestGitHub } from '../../support/github/github.ts';
import type { PullRequest } from '../../support/github/state.ts';
import { createTestClient, type LeapingClock, leapingClock } from './test-client.ts';

const signal = new AbortController().signal;
const CREATE = { method: 'POST', path: /\/issues\/\d+\/comments$/ };
const UPDATE = { method: 'PATCH', path: /\/issues\/comments\/\d+$/ };

let github: TestGitHub;
let pull: PullRequest;
let clock: LeapingClock;

beforeEach(async () => {
  clock = leapingClock();
  github = await startGitHub();
  const repository = await github.createRepository('acme/shop', { a: 'a' });
  pull = await github.openPullRequest({ repository, files: { a: 'b' } });
});
afterEach(() => github.stop());

const upsert = (text: string, commentId?: number, client = createTestClient(github, clock)) =>
  upsertComment(
    client,
    { repository: 'acme/shop', number: pull.number, environment: 'shop-1', commentId },
    text,
    signal,
  );
const writes = () =>
  github.requests.filter(({ path, method }) => method !== 'GET' && path.includes('/issues/'));
const texts = () => github.comments(pull).map(({ body }) => body.split('\n').slice(1).join('\n'));

test('a comment is written once and then changed in place', async () => {
  const { commentId, action } = await upsert('first');
  expect(action).toBe('created');
  await expect(upsert('second', commentId)).resolves.toEqual({ commentId, action: 'updated' });
  expect(texts()).toEqual(['second']);
});

test('the same text again writes nothing', async () => {
  const { commentId } = await upsert('same');
  await expect(upsert('same', commentId)).resolves.toEqual({ commentId, action: 'unchanged' });
  expect(writes()).toHaveLength(1);
});

test('a lost id is found again, on whichever page', async () => {
  for (let index = 0; index < 120; index++) github.addComment(pull, 'octocat', `talk ${index}`);
  const { commentId } = await upsert('first');
  for (let index = 0; index < 120; index++) github.addComment(pull, 'octocat', `more ${index}`);
  await expect(upsert('second')).resolves.toEqual({ commentId, action: 'updated' });
});

test('a comment that somebody deleted is written again', async () => {
  const { commentId } = await upsert('first');
  for (const comment of github.comments(pull)) github.deleteComment(comment);
  const again = await upsert('second', commentId);
  expect(again).toMatchObject({ action: 'created' });
  expect(texts()).toEqual(['second']);
});

test("somebody else's comment with our marker is left alone", async () => {
  const forged = github.addComment(pull, 'stranger', `${commentMarker('shop-1')}\nforged`);
  await expect(upsert('ours')).resolves.toMatchObject({ action: 'created' });
  await expect(upsert('ours again', forged.id)).resolves.toMatchObject({ action: 'updated' });
  expect(texts()).toEqual(['forged', 'ours again']);
});

test('the comment of another environment is left alone', async () => {
  const client = createTestClient(github, clock);
  const target = { repository: 'acme/shop', number: pull.number };
  await upsertComment(client, { ...target, environment: 'shop-1' }, 'one', signal);
  await upsertComment(client, { ...target, environment: 'shop-12' }, 'twelve', signal);
  expect(texts()).toEqual(['one', 'twelve']);
});

test.each([500, 502, 'dropped'] as const)(
  'a comment that was written although the answer was %s is not written twice',
  async (status) => {
    github.faults.add({ ...CREATE, status, times: 1, carriedOut: true });
    await expect(upsert('once')).resolves.toMatchObject({ action: 'unchanged' });
    expect(texts()).toEqual(['once']);
  },
);

test('a comment that was not written is written by the next try', async () => {
  github.faults.add({ ...CREATE, status: 502, times: 2 });
  await expect(upsert('once')).resolves.toMatchObject({ action: 'created' });
  expect(texts()).toEqual(['once']);
});

test('a change whose answer was lost is made once more, in the same comment', async () => {
  const { commentId } = await upsert('first');
  github.faults.add({ ...UPDATE, status: 502, times: 1, carriedOut: true });
  await expect(upsert('second', commentId)).resolves.toEqual({ commentId, action: 'updated' });
  expect(texts()).toEqual(['second']);
});

test('an outage that stays is an error, and no comment', async () => {
  github.faults.add({ ...CREATE, status: 500, times: 100 });
  await expect(upsert('never')).rejects.toThrow(UnavailableError);
  expect(texts()).toEqual([]);
});

test('a secondary rate limit is obeyed, and the comment written once', async () => {
  github.faults.add({ ...CREATE, ...secondaryRateLimit(45, 1) });
  const beforeMs = clock.nowMs();
  await expect(upsert('once')).resolves.toMatchObject({ action: 'created' });
  expect(clock.nowMs() - beforeMs).toBeGreaterThanOrEqual(45_000);
  expect(texts()).toEqual(['once']);
});

test('writes of an installation come one after another, a second apart', async () => {
  const client = createTestClient(github, clock);
  const { commentId } = await upsert('first', undefined, client);
  await upsert('second', commentId, client);
  await upsert('third', commentId, client);
  expect(clock.sleptMs).toEqual([expect.closeTo(1000, -1), expect.closeTo(1000, -1)]);
});

test('a pull request that is gone is said to be', async () => {
  pull.deleted = true;
  await expect(upsert('x')).rejects.toThrow(NotFoundError);
});

test('a conversation that is locked is said to be', async () => {
  github.faults.add({
    ...CREATE,
    status: 403,
    message: 'Unable to create comment because issue is locked.',
    times: 9,
  });
  await expect(upsert('x')).rejects.toThrow(ForbiddenError);
  expect(writes()).toHaveLength(1);
});

test('a text that is too long is cut', async () => {
  await upsert('x'.repeat(100_000));
  expect(github.comments(pull)[0]?.body).toHaveLength(65_536);
});
