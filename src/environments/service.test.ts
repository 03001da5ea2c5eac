import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type ManualClock } from '../../test/support/manual-clock.ts';
import { createMemoryApiServer, type MemoryApiServer } from '../../test/support/memory-api-server.ts';
import type { Principal } from './authorize.ts';
import { ENVIRONMENTS, type Environment, type PullRequestSource, TEARDOWN_FINALIZER } from './resource.ts';
import { createEnvironmentService, type EnvironmentService } from './service.ts';

const NAMESPACE = 'mayfly';
const HOUR_MS = 3_600_000;
const LIMITS = { defaultTtlMs: 24 * HOUR_MS, maxTtlMs: 48 * HOUR_MS, maxLifetimeMs: 72 * HOUR_MS };
const alice: Principal = { id: 'token:alice', admin: false };
const bob: Principal = { id: 'token:bob', admin: false };
const admin: Principal = { id: 'token:root', admin: true };
const signal = new AbortController().signal;

let host: MemoryApiServer;
let clock: ManualClock;
let environments: EnvironmentService;

beforeEach(() => {
  host = createMemoryApiServer();
  clock = createManualClock(Date.now());
  environments = createEnvironmentService({
    client: host.client,
    namespace: NAMESPACE,
    clock,
    limits: LIMITS,
    kubernetesVersions: ['1.34', '1.33'],
  });
});

function pullRequest(change: Partial<PullRequestSource> = {}): PullRequestSource {
  return {
    repository: 'acme/shop',
    repositoryId: 1,
    installationId: 7,
    number: 412,
    commit: 'a'.repeat(40),
    ...change,
  };
}

function hoursLeft({ spec }: Environment): number {
  return (Date.parse(spec.expiresAt) - clock.nowMs()) / HOUR_MS;
}

function stored(): Environment[] {
  return host.list<Environment>(ENVIRONMENTS);
}

describe('creating', () => {
  test('makes an environment of the caller that ends after the default time and cannot vanish without teardown', async () => {
    const { environment, created } = await environments.create(alice, { name: 'test' }, signal);
    expect(created).toBe(true);
    expect(environment).toMatchObject({
      metadata: { name: 'test', namespace: NAMESPACE, finalizers: [TEARDOWN_FINALIZER] },
      spec: { owner: 'token:alice', kubernetesVersion: '1.34' },
    });
    expect(hoursLeft(environment)).toBe(24);
  });

  test('makes up a name when none is given', async () => {
    const first = await environments.create(alice, {}, signal);
    const second = await environments.create(alice, {}, signal);
    expect(first.environment.metadata.name).not.toBe(second.environment.metadata.name);
  });

  test('answers with what is there when the same is asked for again', async () => {
    const app = { image: 'nginx:1', port: 80 };
    const first = await environments.create(alice, { name: 'test', app }, signal);
    const again = await environments.create(alice, { name: 'test', app, ttlMs: HOUR_MS }, signal);
    expect(again.created).toBe(false);
    expect(again.environment.metadata.uid).toBe(first.environment.metadata.uid);
  });

  test('makes one environment of twenty equal requests at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, () => environments.create(alice, { name: 'test' }, signal)),
    );
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(stored()).toHaveLength(1);
  });

  test.each([
    ['somebody else has the name', bob, {}],
    ['the caller has another app under the name', alice, { app: { image: 'nginx:1', port: 80 } }],
    ['the caller has another version under the name', alice, { kubernetesVersion: '1.33' }],
  ])('is refused when %s', async (_, principal, wanted) => {
    await environments.create(alice, { name: 'test' }, signal);
    await expect(environments.create(principal, { name: 'test', ...wanted }, signal)).rejects.toMatchObject({
      code: 'NameTaken',
    });
  });

  test('is refused while the previous one of that name is being torn down', async () => {
    await environments.create(alice, { name: 'test' }, signal);
    await environments.delete(alice, 'test', signal);
    await expect(environments.create(alice, { name: 'test' }, signal)).rejects.toMatchObject({
      code: 'EnvironmentTerminating',
    });
  });

  test.each([
    [{ name: 'Not-A-Label' }, 'InvalidName'],
    [{ name: '../evil' }, 'InvalidName'],
    [{ kubernetesVersion: '1.2' }, 'UnknownKubernetesVersion'],
    [{ ttlMs: LIMITS.maxTtlMs + 1 }, 'TtlTooLong'],
  ])('refuses %j', async (wanted, code) => {
    await expect(environments.create(alice, wanted, signal)).rejects.toMatchObject({ code });
    expect(stored()).toEqual([]);
  });
});

describe('T27: an environment of somebody else', () => {
  beforeEach(async () => {
    await environments.create(alice, { name: 'hers' }, signal);
  });

  test('is not found by name, not listed and not deleted', async () => {
    const missing = await environments.get(bob, 'absent', signal).catch((error: Error) => error);
    const hidden = await environments.get(bob, 'hers', signal).catch((error: Error) => error);
    expect(hidden).toMatchObject({ code: 'EnvironmentNotFound' });
    expect(String(hidden).replace('hers', 'absent')).toBe(String(missing));
    expect(await environments.list(bob, signal)).toEqual([]);
    await expect(environments.delete(bob, 'hers', signal)).rejects.toMatchObject({
      code: 'EnvironmentNotFound',
    });
    expect(stored()[0]?.metadata.deletionTimestamp).toBeUndefined();
  });

  test('is there for its owner and for an administrator', async () => {
    for (const principal of [alice, admin]) {
      expect((await environments.get(principal, 'hers', signal)).metadata.name).toBe('hers');
      expect(await environments.list(principal, signal)).toHaveLength(1);
    }
  });
});

describe('a pull request', () => {
  test('gets one environment, however often and however many at once it is looked at', async () => {
    await Promise.all(
      Array.from({ length: 20 }, () => environments.upsertForPullRequest({ source: pullRequest() }, signal)),
    );
    await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    const [environment, ...others] = stored();
    expect(others).toEqual([]);
    expect(host.writes().filter(({ verb }) => verb === 'update')).toEqual([]);
    expect(environment).toMatchObject({
      metadata: { name: 'shop-412' },
      spec: { owner: 'github:acme/shop', pullRequest: pullRequest() },
    });
  });

  test('moves its environment to the newest commit, which then lives longer', async () => {
    await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    await clock.advance(10 * HOUR_MS);
    const moved = await environments.upsertForPullRequest(
      { source: pullRequest({ commit: 'b'.repeat(40) }) },
      signal,
    );
    expect(moved.spec.pullRequest?.commit).toBe('b'.repeat(40));
    expect(hoursLeft(moved)).toBe(24);
  });

  test('T30: cannot live past the longest lifetime by pushing', async () => {
    const first = await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    for (let push = 0; push < 20; push++) {
      await clock.advance(10 * HOUR_MS);
      const commit = push.toString(16).padStart(40, '0');
      await environments.upsertForPullRequest({ source: pullRequest({ commit }) }, signal);
    }
    const [last] = stored();
    const lifetimeMs =
      Date.parse(last?.spec.expiresAt ?? '') - Date.parse(first.metadata.creationTimestamp ?? '');
    expect(lifetimeMs).toBeLessThanOrEqual(LIMITS.maxLifetimeMs);
  });

  test('T30: cannot ask for more time than there is', async () => {
    const environment = await environments.upsertForPullRequest(
      { source: pullRequest(), ttlMs: 1000 * HOUR_MS },
      signal,
    );
    expect(hoursLeft(environment)).toBe(48);
  });

  test('keeps its environment when the repository is renamed', async () => {
    await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    await environments.upsertForPullRequest({ source: pullRequest({ repository: 'acme/store' }) }, signal);
    const all = stored();
    expect(all.map(({ metadata }) => metadata.name)).toEqual(['shop-412']);
    expect(all[0]?.spec.pullRequest?.repository).toBe('acme/store');
  });

  test('gets another name when a repository of the same name, or somebody by hand, has taken the first', async () => {
    await environments.create(alice, { name: 'shop-412' }, signal);
    const mine = await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    const theirs = await environments.upsertForPullRequest(
      { source: pullRequest({ repositoryId: 2 }) },
      signal,
    );
    expect(new Set(stored().map(({ metadata }) => metadata.name)).size).toBe(3);
    const again = await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    expect(again.metadata.uid).toBe(mine.metadata.uid);
    expect(again.metadata.uid).not.toBe(theirs.metadata.uid);
  });

  test('waits for the teardown of its previous environment', async () => {
    await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    await environments.deleteForPullRequest(pullRequest(), signal);
    await expect(environments.upsertForPullRequest({ source: pullRequest() }, signal)).rejects.toMatchObject({
      code: 'EnvironmentTerminating',
    });
    host.remove(ENVIRONMENTS, `${NAMESPACE}/shop-412`);
    const next = await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    expect(next.metadata.deletionTimestamp).toBeUndefined();
  });

  test('closing it deletes its environment and no other, and may be repeated', async () => {
    await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    await environments.upsertForPullRequest({ source: pullRequest({ number: 41 }) }, signal);
    await environments.upsertForPullRequest({ source: pullRequest({ repositoryId: 2 }) }, signal);
    await environments.deleteForPullRequest(pullRequest(), signal);
    await environments.deleteForPullRequest(pullRequest(), signal);
    const terminating = stored().filter(({ metadata }) => metadata.deletionTimestamp);
    expect(terminating.map(({ spec }) => spec.pullRequest)).toEqual([pullRequest()]);
  });

  test('closing one that never had an environment is nothing', async () => {
    expect(await environments.deleteForPullRequest(pullRequest(), signal)).toEqual([]);
  });
});

describe('expiry', () => {
  test('deletes an environment once its time is over, and not before', async () => {
    await environments.create(alice, { name: 'test', ttlMs: HOUR_MS }, signal);
    await clock.advance(HOUR_MS - 1);
    expect(await environments.deleteIfExpired('test', signal)).toBe(false);
    await clock.advance(1);
    expect(await environments.deleteIfExpired('test', signal)).toBe(true);
    expect(await environments.deleteIfExpired('test', signal)).toBe(false);
    expect(stored()[0]?.metadata.deletionTimestamp).toBeDefined();
  });

  test('F20: an extension that comes first wins over the deletion that has begun', async () => {
    await environments.upsertForPullRequest({ source: pullRequest() }, signal);
    await clock.advance(25 * HOUR_MS);
    const racing = {
      ...host.client,
      async delete(...call: Parameters<typeof host.client.delete>) {
        await environments.upsertForPullRequest({ source: pullRequest({ commit: 'b'.repeat(40) }) }, signal);
        return host.client.delete(...call);
      },
    };
    const sweep = createEnvironmentService({
      client: racing,
      namespace: NAMESPACE,
      clock,
      limits: LIMITS,
      kubernetesVersions: ['1.34'],
    });
    expect(await sweep.deleteIfExpired('shop-412', signal)).toBe(false);
    expect(stored()[0]?.metadata.deletionTimestamp).toBeUndefined();
  });
});
