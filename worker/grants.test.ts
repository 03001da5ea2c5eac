import { expect, it } from 'vitest';
import { KubeError } from '../src/kube/errors.ts';
import { systemClock as clock } from '../src/lib/clock.ts';
import { onceGranted } from './grants.ts';

const { signal } = new AbortController();

/** An operation that the API server forbids a few times. */
function forbidden(times: number, details?: KubeError['details']) {
  let calls = 0;
  const operation = async () => {
    calls += 1;
    if (calls > times) return 'done';
    throw new KubeError({ status: 403, reason: 'Forbidden', message: 'is forbidden', details });
  };
  return { operation, calls: () => calls };
}

it('tries again what is forbidden until a right that was granted is known', async () => {
  const { operation } = forbidden(2);
  await expect(onceGranted(operation, { clock, signal })).resolves.toBe('done');
});

it('does not try again in a namespace that is being deleted (F15)', async () => {
  const { operation, calls } = forbidden(2, { causes: [{ reason: 'NamespaceTerminating' }] });
  await expect(onceGranted(operation, { clock, signal })).rejects.toThrow('is forbidden');
  expect(calls()).toBe(1);
});
