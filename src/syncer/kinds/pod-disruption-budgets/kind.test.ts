import { describe, expect, it } from 'vitest';
import { fullDisruptionBudget } from '../../../../test/support/policy-samples.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import type { PodDisruptionBudget } from '../../objects.ts';
import { hostSelector } from '../../selectors.ts';
import { podDisruptionBudgets } from './kind.ts';

const context = translationContext();
const metadata = { namespace: 'team', name: 'web' };
const onHost = (budget: PodDisruptionBudget) => podDisruptionBudgets.toHost(budget, context)?.spec;
const selector = { matchLabels: { app: 'web' } };
const seen = (desiredHealthy: number): PodDisruptionBudget['status'] => ({
  observedGeneration: 1,
  desiredHealthy,
  currentHealthy: 0,
  expectedPods: 0,
  disruptionsAllowed: 0,
});

describe('a disruption budget on the host', () => {
  it('asks for as many pods as the controller inside counted, of this cluster and namespace', () => {
    expect(onHost(fullDisruptionBudget(metadata))).toEqual({
      minAvailable: 3,
      selector: hostSelector(selector, 'vc', ['team']),
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
  });

  it.each([
    ['a number, before anybody counted', { minAvailable: 2, selector }, undefined, 2],
    ['a number, whatever was counted before', { minAvailable: 2, selector }, seen(1), 2],
    ['a percentage, once counted', { minAvailable: '50%', selector }, seen(4), 4],
    ['pods that may be missing, once counted', { maxUnavailable: 1, selector }, seen(0), 0],
  ])('from %s', (_, spec, status, minAvailable) => {
    expect(onHost({ metadata, spec, status })).toMatchObject({ minAvailable });
  });

  it.each([
    ['a percentage that nobody counted yet', { minAvailable: '50%', selector }],
    ['pods that may be missing, which nobody counted yet', { maxUnavailable: 1, selector }],
    ['no selector, which means no pod', { minAvailable: 1 }],
  ])('does not exist for %s', (_, spec) => {
    expect(onHost({ metadata, spec })).toBeUndefined();
  });

  it('means every pod of the namespace with an empty selector', () => {
    expect(onHost({ metadata, spec: { minAvailable: 1, selector: {} } })).toMatchObject({
      selector: {
        matchLabels: { 'mayfly.dev/cluster': 'vc' },
        matchExpressions: [{ key: 'mayfly.dev/virtual-namespace', operator: 'In', values: ['team'] }],
      },
    });
  });
});
