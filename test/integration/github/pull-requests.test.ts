// Reading pull requests and files from GitHub, and what each of GitHub's failures means.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { INSTALLATION_NOT_ACCESSIBLE } from '../../../src/github/client.ts';
import { fetchFile } from '../../../src/github/fetch-file.ts';
import { listChangedFiles } from '../../../src/github/list-changed-files.ts';
import { readPullRequest } from '../../../src/github/read-pull-request.ts';
import {
  ForbiddenError,
  InvalidInputError,
  NotFoundError,
  UnauthenticatedError,
  UnavailableError,
} from '../../../src/lib/errors.ts';
import { secondaryRateLimit } from '../../support/github/faults.ts';
import { startGitHub, type TestGitHub } from '../../support/github/github.ts';
import type { PullRequest } from '../../support/github/state.ts';
import { createTestClient, leapingClock } from './test-client.ts';

const signal = new AbortController().signal;
const PULL = { method: 'GET', path: /\/pulls\/\d+$/ };

let github: TestGitHub;
let pull: PullRequest;
let clock: ReturnType<typeof leapingClock>;

beforeEach(async () => {
  clock = leapingClock();
  github = await startGitHub();
  const repository = await github.createRepository('acme/shop', {
    '.mayfly.yaml': 'version: 1\n',
    'app/a.txt': 'a',
  });
  pull = await github.openPullRequest({ repository, files: { 'app/a.txt': 'b', 'app/new.txt': 'n' } });
});
afterEach(() => github.stop());

const client = () => createTestClient(github, clock);
const ref = () => ({ repository: 'acme/shop', repositoryId: pull.repository.id, number: pull.number });
const read = () => readPullRequest(client(), ref(), signal);

describe('a pull request', () => {
  test('is read with what the policy and the deploy need', async () => {
    await expect(read()).resolves.toEqual({
      state: 'open',
      pullRequest: {
        ...ref(),
        title: 'Change 1',
        url: expect.stringContaining('acme/shop'),
        draft: false,
        author: 'octocat',
        labels: [],
        headCommit: pull.headCommit,
        headBranch: 'change-1',
        baseBranch: 'main',
        isFork: false,
      },
    });
  });

  test('that was closed is closed, that was merged is merged, that was reopened is open', async () => {
    await github.close(pull);
    await expect(read()).resolves.toMatchObject({ state: 'closed' });
    github.reopen(pull);
    await expect(read()).resolves.toMatchObject({ state: 'open' });
    await github.close(pull, { merged: true });
    await expect(read()).resolves.toMatchObject({ state: 'merged' });
  });

  test('of a fork says so, also when the fork was deleted', async () => {
    const fork = await github.openPullRequest({ repository: pull.repository, files: { x: 'y' }, fork: true });
    const isFork = async () => {
      const reading = await readPullRequest(client(), { ...ref(), number: fork.number }, signal);
      return 'pullRequest' in reading && reading.pullRequest.isFork;
    };
    await expect(isFork()).resolves.toBe(true);
    fork.headRepository = undefined;
    await expect(isFork()).resolves.toBe(true);
  });

  test('is found under the new name of its repository', async () => {
    github.renameRepository(pull.repository, 'umbrella/store');
    await expect(read()).resolves.toMatchObject({
      state: 'open',
      pullRequest: { repository: 'umbrella/store', repositoryId: pull.repository.id },
    });
  });

  test('is found although another repository has taken the old name', async () => {
    github.renameRepository(pull.repository, 'umbrella/store');
    const usurper = await github.createRepository('acme/shop', { a: 'b' });
    await github.openPullRequest({ repository: usurper, files: { c: 'd' } });
    await expect(read()).resolves.toMatchObject({
      state: 'open',
      pullRequest: { repository: 'umbrella/store', headCommit: pull.headCommit },
    });
  });

  test('that GitHub took away is gone', async () => {
    pull.deleted = true;
    await expect(read()).resolves.toEqual({ state: 'gone' });
  });

  test('of a repository that the app may not see is inaccessible, not gone', async () => {
    pull.repository.installed = false;
    await expect(read()).resolves.toMatchObject({ state: 'inaccessible' });
  });

  test.each(['suspended', 'removed'] as const)(
    'of an installation that was %s is inaccessible',
    async (state) => {
      github.installation.state = state;
      await expect(read()).resolves.toMatchObject({ state: 'inaccessible' });
      await expect(
        fetchFile(client(), { repository: 'acme/shop', ref: 'main', path: 'a' }, signal),
      ).rejects.toThrow(expect.objectContaining({ code: INSTALLATION_NOT_ACCESSIBLE }));
    },
  );
});

describe('an outage', () => {
  test.each([500, 502, 503, 'dropped'] as const)('of %s is waited out', async (status) => {
    github.faults.add({ ...PULL, status, times: 2 });
    await expect(read()).resolves.toMatchObject({ state: 'open' });
  });

  test.each([500, 502, 'dropped'] as const)('of %s that stays is never "closed"', async (status) => {
    github.faults.add({ ...PULL, status, times: 100 });
    await expect(read()).rejects.toThrow(UnavailableError);
    expect(github.requests.filter(({ path }) => PULL.path.test(path))).toHaveLength(4);
  });

  test('while tokens are issued is no word about the pull request', async () => {
    github.faults.add({ method: 'POST', path: /access_tokens$/, status: 502, times: 100 });
    await expect(read()).rejects.toThrow(UnavailableError);
  });

  test('during the search for a renamed repository is no word about the pull request', async () => {
    pull.deleted = true;
    github.faults.add({ path: /^\/installation\/repositories$/, status: 500, times: 100 });
    await expect(read()).rejects.toThrow(UnavailableError);
  });

  test('is not waited for once the caller gives up', async () => {
    const abort = new AbortController();
    github.faults.add({ ...PULL, status: 500, times: 100 });
    clock.onSleep = () => abort.abort(new Error('shutting down'));
    await expect(readPullRequest(client(), ref(), abort.signal)).rejects.toThrow('shutting down');
  });
});

describe('a limit', () => {
  test('of requests per hour is waited for until it is reset', async () => {
    const resetSeconds = Math.ceil(clock.nowMs() / 1000) + 30;
    github.faults.add({
      ...PULL,
      status: 403,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(resetSeconds) },
      message: 'API rate limit exceeded',
      times: 1,
    });
    await expect(read()).resolves.toMatchObject({ state: 'open' });
    expect(clock.nowMs()).toBeGreaterThanOrEqual(resetSeconds * 1000);
  });

  test('that lasts longer than a call may wait is said to the caller, and holds for all of the installation', async () => {
    github.faults.add({ ...PULL, ...secondaryRateLimit(600, 1) });
    const limited = client();
    await expect(readPullRequest(limited, ref(), signal)).rejects.toMatchObject({
      code: 'GitHubRateLimited',
      retryAfterMs: 600_000,
    });
    await expect(readPullRequest(limited, ref(), signal)).rejects.toMatchObject({
      code: 'GitHubRateLimited',
    });
    expect(github.requests.filter(({ path }) => PULL.path.test(path))).toHaveLength(1);

    clock.advance(600_000);
    await expect(readPullRequest(limited, ref(), signal)).resolves.toMatchObject({ state: 'open' });
  });

  test('that is none, a plain 403, is not waited for', async () => {
    github.faults.add({ ...PULL, status: 403, message: 'Resource not accessible by integration', times: 1 });
    await expect(read()).rejects.toThrow(ForbiddenError);
    expect(clock.sleptMs).toEqual([]);
  });
});

describe('a token', () => {
  test('is issued once for many requests', async () => {
    const one = client();
    await readPullRequest(one, ref(), signal);
    await readPullRequest(one, ref(), signal);
    expect(github.requests.filter(({ path }) => path.endsWith('/access_tokens'))).toHaveLength(1);
  });

  test('that GitHub does not take any more is renewed once', async () => {
    const one = client();
    await readPullRequest(one, ref(), signal);
    github.expireTokens();
    await expect(readPullRequest(one, ref(), signal)).resolves.toMatchObject({ state: 'open' });
    expect(github.requests.map(({ status }) => status)).toEqual([201, 200, 401, 201, 200]);
  });

  test('that is refused even when new is an error, without another try', async () => {
    github.faults.add({ ...PULL, status: 401, message: 'Bad credentials', times: 100 });
    await expect(read()).rejects.toThrow(UnauthenticatedError);
    expect(github.requests.filter(({ path }) => PULL.path.test(path))).toHaveLength(2);
  });
});

describe('a file', () => {
  const file = (path: string, at = 'main') =>
    fetchFile(client(), { repository: 'acme/shop', ref: at, path }, signal);

  test('is read as it is at a commit or on a branch', async () => {
    await expect(file('app/a.txt')).resolves.toBe('a');
    await expect(file('app/a.txt', pull.headCommit)).resolves.toBe('b');
  });

  test('that is not there is undefined', async () => {
    await expect(file('app/none.txt')).resolves.toBeUndefined();
  });

  test.each([
    ['a folder', 'app', 'NotAFile'],
    ['a link', 'link', 'NotAFile'],
    ['too large', 'large', 'FileTooLarge'],
  ])('that is %s is refused', async (_title, path, code) => {
    const head = await github.push(pull, { link: { link: '/etc/passwd' }, large: 'x'.repeat(300 * 1024) });
    await expect(file(path, head)).rejects.toThrow(expect.objectContaining({ code }));
    await expect(file(path, head)).rejects.toThrow(InvalidInputError);
  });

  test('that cannot be read because GitHub is down is an outage, not "not there"', async () => {
    github.faults.add({ path: /\/contents\//, status: 502, times: 100 });
    await expect(file('app/a.txt')).rejects.toThrow(UnavailableError);
  });
});

test('the changed files of a pull request are listed to the last page', async () => {
  const files = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`many/${index}.txt`, 'x']));
  await github.push(pull, files);
  const { paths, complete } = await listChangedFiles(client(), ref(), signal);
  expect(complete).toBe(true);
  expect(paths.toSorted()).toEqual([...Object.keys(files), 'app/a.txt', 'app/new.txt'].toSorted());
});

test('a pull request that is not there has no changed files', async () => {
  await expect(listChangedFiles(client(), { ...ref(), number: 99 }, signal)).rejects.toThrow(NotFoundError);
});
