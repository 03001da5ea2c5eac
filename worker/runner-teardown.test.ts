import { describe, expect, test } from 'vitest';
import { TEARDOWN_FINALIZER } from '../src/environments/resource.ts';
import { ForbiddenError, InvalidInputError, UnavailableError } from '../src/lib/errors.ts';
import { memoryStep, setUpRunner } from '../test/support/runner-harness.ts';
import type { Step } from './step.ts';

const MINUTE_MS = 60_000;

const broken = () =>
  new InvalidInputError({ code: 'CrashLoop', message: 'Deployment `web` is not available' });

describe('teardown', () => {
  test('is reported before the environment goes', async () => {
    const order: string[] = [];
    const note = (name: string, condition: Step['condition']) =>
      memoryStep(name, condition, async () => {
        order.push(name);
        return undefined;
      });
    const { environments, reconcile } = setUpRunner({
      teardown: note('teardown', 'TornDown'),
      report: note('report', 'Reported'),
    });
    environments.create();
    environments.delete();
    const { metadata } = environments.current;
    metadata.finalizers = [TEARDOWN_FINALIZER];
    expect(await reconcile()).toBe('gone');
    expect(order).toEqual(['teardown', 'report']);
  });

  test('keeps the environment until it is done, however it fails', async () => {
    const { environments, reconcile, condition } = setUpRunner({
      teardown: memoryStep('teardown', 'TornDown', () => Promise.reject(broken())),
    });
    environments.create();
    environments.delete();
    environments.current.metadata.finalizers = [TEARDOWN_FINALIZER];
    await expect(reconcile()).rejects.toThrow('not available');
    expect(condition('TornDown')?.message).toBe('Deployment `web` is not available');
    expect(environments.current.status?.phase).toBe('Terminating');
  });

  test('ends although GitHub refuses the report', async () => {
    const refused = new ForbiddenError({ code: 'GitHubForbidden', message: 'not allowed to comment' });
    const { environments, reconcile } = setUpRunner({
      report: memoryStep('report', 'Reported', () => Promise.reject(refused)),
    });
    environments.create();
    environments.delete();
    environments.current.metadata.finalizers = [TEARDOWN_FINALIZER];
    expect(await reconcile()).toBe('gone');
  });

  test('waits an hour, and no longer, for a GitHub that is away', async () => {
    const away = new UnavailableError({ code: 'GitHubUnreachable', message: 'GitHub is away' });
    const { environments, reconcile, clock, steps } = setUpRunner({
      report: memoryStep('report', 'Reported', () => Promise.reject(away)),
    });
    environments.create();
    environments.delete();
    environments.current.metadata.finalizers = [TEARDOWN_FINALIZER];
    await clock.advance(59 * MINUTE_MS);
    await expect(reconcile()).rejects.toThrow('GitHub is away');
    await clock.advance(2 * MINUTE_MS);
    expect(await reconcile()).toBe('gone');
    expect(steps.teardown.runs).toBe(1);
  });
});
