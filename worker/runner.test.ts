import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { findCondition } from '../src/environments/conditions.ts';
import { TEARDOWN_FINALIZER } from '../src/environments/resource.ts';
import { InvalidInputError, UnavailableError } from '../src/lib/errors.ts';
import { memoryStep, setUpRunner } from '../test/support/runner-harness.ts';
import { createRunner } from './runner.ts';

const broken = () =>
  new InvalidInputError({ code: 'CrashLoop', message: 'Deployment `web` is not available' });

describe('a run', () => {
  test('runs all steps in order and says that the environment is ready', async () => {
    const { environments, reconcile, condition } = setUpRunner();
    environments.create();
    expect(await reconcile()).toBe('observed');
    const { status, metadata } = environments.current;
    expect(status?.steps.map(({ name }) => name)).toEqual([
      'namespace',
      'api-ready',
      'deploy',
      'publish',
      'report',
    ]);
    expect(status).toMatchObject({ phase: 'Ready', observedGeneration: 1, host: { namespaceUid: 'n1' } });
    expect(condition('Ready')?.status).toBe('True');
    expect(metadata.finalizers).toEqual([TEARDOWN_FINALIZER]);
  });

  test('says that a step is running before it runs, with what the ones before have found', async () => {
    const { environments, reconcile } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        const { status } = environments.current;
        expect(status?.steps.at(-1)).toEqual({ name: 'deploy', startedAt: expect.any(String) });
        expect(status?.host?.namespace).toBe('mayfly-shop-x');
        expect(status?.phase).toBe('Deploying');
        return undefined;
      }),
    });
    environments.create();
    await reconcile();
    expect(environments.current.status?.phase).toBe('Ready');
  });

  test('does nothing and writes nothing when all is done', async () => {
    const { environments, reconcile, steps } = setUpRunner();
    environments.create();
    await reconcile();
    const writes = environments.writes.length;
    await reconcile();
    expect(environments.writes).toHaveLength(writes);
    expect(Object.values(steps).map(({ runs }) => runs)).toEqual([1, 1, 1, 1, 1, 0]);
  });

  test('observes a longer life without deploying again', async () => {
    const { environments, reconcile, steps } = setUpRunner();
    environments.create();
    await reconcile();
    environments.change({ expiresAt: '2099-01-02T00:00:00Z' });
    await reconcile();
    expect(environments.current.status?.observedGeneration).toBe(2);
    expect(steps.deploy.runs).toBe(1);
  });

  test('releases its lease, also when a step fails', async () => {
    const { environments, reconcile, leases } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', () => Promise.reject(new Error('broken'))),
    });
    environments.create();
    await expect(reconcile()).rejects.toThrow('broken');
    expect(leases.held.map(({ released }) => released)).toEqual([true]);
  });

  test('is over at once when the environment is gone', async () => {
    const { reconcile } = setUpRunner();
    expect(await reconcile()).toBe('gone');
  });
});

describe('a failure', () => {
  test('that only a change can help is kept, reported and not tried again', async () => {
    const { environments, reconcile, condition, steps } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', () => Promise.reject(broken())),
    });
    environments.create();
    expect(await reconcile()).toBe('observed');
    expect(environments.current.status?.phase).toBe('Failed');
    expect(condition('Ready')).toMatchObject({
      status: 'False',
      reason: 'CrashLoop',
      message: 'Deployment `web` is not available',
    });
    expect(steps.report.runs).toBe(1);
    await reconcile();
    expect(steps.deploy.runs).toBe(1);
    expect(steps.publish.runs).toBe(0);
  });

  test('is tried again for a new commit', async () => {
    let fails = true;
    const { environments, reconcile } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        if (fails) throw broken();
        return undefined;
      }),
    });
    environments.create();
    await reconcile();
    fails = false;
    environments.change({ app: { image: 'web:2', port: 80 } });
    await reconcile();
    expect(environments.current.status?.phase).toBe('Ready');
  });

  test('that may pass is said and handed on, and the environment is not called failed', async () => {
    const outage = new UnavailableError({ code: 'GitHubUnavailable', message: 'GitHub answered 502' });
    const { environments, reconcile, condition } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', () => Promise.reject(outage)),
    });
    environments.create();
    await expect(reconcile()).rejects.toBe(outage);
    expect(condition('Deployed')).toMatchObject({ status: 'Unknown', reason: 'GitHubUnavailable' });
    expect(environments.current.status?.phase).toBe('Deploying');
    expect(environments.current.status?.observedGeneration).toBeUndefined();
  });

  test('of the report does not undo what was done', async () => {
    const outage = new UnavailableError({ code: 'GitHubUnavailable', message: 'GitHub answered 502' });
    const { environments, reconcile, condition } = setUpRunner({
      report: memoryStep('report', 'Reported', () => Promise.reject(outage)),
    });
    environments.create();
    await expect(reconcile()).rejects.toBe(outage);
    expect(condition('Ready')?.status).toBe('True');
    expect(condition('Reported')?.status).toBe('Unknown');
  });
});

describe('a newer commit', () => {
  test('aborts the deploy under way and is deployed in the same run', async () => {
    const deployed: string[] = [];
    const { environments, reconcile } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async ({ environment }, signal) => {
        const image = environment.spec.app?.image ?? '';
        if (image === 'web:1') {
          environments.change({ app: { image: 'web:2', port: 80 } });
          signal.throwIfAborted();
        }
        deployed.push(image);
        return undefined;
      }),
    });
    environments.create();
    expect(await reconcile()).toBe('observed');
    expect(deployed).toEqual(['web:2']);
    expect(environments.current.status).toMatchObject({ phase: 'Ready', observedGeneration: 2 });
  });

  test('is noticed by the next write when the watch is late', async () => {
    const images: string[] = [];
    const { environments, reconcile } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async ({ environment }) => {
        images.push(environment.spec.app?.image ?? '');
        if (images.length === 1) environments.change({ app: { image: 'web:2', port: 80 } });
        return undefined;
      }),
    });
    environments.access.subscribe = () => () => undefined;
    environments.create();
    await reconcile();
    expect(images).toEqual(['web:1', 'web:2']);
    expect(environments.current.status?.observedGeneration).toBe(2);
  });

  test('F20: a deletion during the deploy tears down in the same run', async () => {
    const { environments, reconcile, steps } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async (_state, signal) => {
        environments.delete();
        signal.throwIfAborted();
        return undefined;
      }),
    });
    environments.create();
    expect(await reconcile()).toBe('gone');
    expect(steps.teardown.runs).toBe(1);
    expect(environments.isGone).toBe(true);
  });
});

describe('F8: a run that has lost its lease', () => {
  test('writes nothing more', async () => {
    const { environments, reconcile, leases } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        leases.lose();
        return undefined;
      }),
    });
    environments.create();
    const writes = () => environments.writes.length;
    await expect(reconcile()).rejects.toThrow('the lease was lost');
    expect(writes()).toBe(3);
    expect(findCondition(environments.current.status?.conditions, 'Deployed')?.status).toBe('Unknown');
  });

  test('stops where another worker has written the status', async () => {
    const { environments, reconcile } = setUpRunner({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        environments.overwriteStatus();
        return undefined;
      }),
    });
    environments.create();
    await expect(reconcile()).rejects.toMatchObject({ code: 'LeaseLost' });
    expect(environments.current.status?.phase).toBe('Failed');
  });

  test('does not begin while another worker is at work', async () => {
    const { environments, steps, clock } = setUpRunner();
    environments.create();
    const runner = createRunner({
      environments: environments.access,
      acquireLease: async () => undefined,
      provision: [steps.namespace],
      teardown: [],
      report: steps.report,
      clock,
      logger: pino({ level: 'silent' }),
    });
    await expect(runner.reconcile('shop', AbortSignal.timeout(1_000))).rejects.toMatchObject({
      code: 'LeaseHeld',
    });
    expect(steps.namespace.runs).toBe(0);
  });
});
