import { describe, expect, test } from 'vitest';
import { setCondition, summarizeReady } from './conditions.ts';
import { phaseOf } from './phase.ts';
import type { Condition, ConditionType, EnvironmentPhase } from './resource.ts';

const EARLIER = '2026-01-01T00:00:00.000Z';
const NOW = '2026-01-01T01:00:00.000Z';

function condition(type: ConditionType, status: Condition['status'], reason = 'Because'): Condition {
  return { type, status, reason, message: `${type} is ${status}`, lastTransitionTime: EARLIER };
}

describe('setting a condition', () => {
  test('keeps the time of transition while the status stays', () => {
    const [set] = setCondition(
      [condition('Deployed', 'False', 'Old')],
      { type: 'Deployed', status: 'False', reason: 'New', message: 'new' },
      NOW,
    );
    expect(set).toMatchObject({ reason: 'New', lastTransitionTime: EARLIER });
  });

  test('takes the time of transition from now when the status changes', () => {
    const [set] = setCondition(
      [condition('Deployed', 'False')],
      { type: 'Deployed', status: 'True', reason: 'Deployed', message: '' },
      NOW,
    );
    expect(set?.lastTransitionTime).toBe(NOW);
  });

  test('leaves the others in place and the input as it was', () => {
    const before = [condition('Provisioned', 'True'), condition('Deployed', 'Unknown')];
    const copy = structuredClone(before);
    const after = setCondition(
      before,
      { type: 'Provisioned', status: 'True', reason: 'R', message: '' },
      NOW,
    );
    expect(after.map(({ type }) => type)).toEqual(['Provisioned', 'Deployed']);
    expect(before).toEqual(copy);
  });
});

describe('the summary', () => {
  test.each<[string, Condition[], Partial<Condition>, EnvironmentPhase]>([
    ['nothing yet', [], { status: 'Unknown', reason: 'Progressing' }, 'Pending'],
    ['provisioning', [condition('Provisioned', 'Unknown')], { status: 'Unknown' }, 'Provisioning'],
    [
      'not provisioned',
      [condition('Provisioned', 'False', 'Quota')],
      { status: 'False', reason: 'Quota' },
      'Failed',
    ],
    [
      'deploying',
      [condition('Provisioned', 'True'), condition('Deployed', 'Unknown')],
      { status: 'Unknown', message: 'Deployed is Unknown' },
      'Deploying',
    ],
    [
      'a failed deploy of what is still published',
      [
        condition('Provisioned', 'True'),
        condition('Deployed', 'False', 'CrashLoop'),
        condition('Published', 'True'),
      ],
      { status: 'False', reason: 'CrashLoop', message: 'Deployed is False' },
      'Failed',
    ],
    [
      'all done',
      [condition('Provisioned', 'True'), condition('Deployed', 'True'), condition('Published', 'True')],
      { status: 'True' },
      'Ready',
    ],
    [
      'all done but not reported',
      [
        condition('Provisioned', 'True'),
        condition('Deployed', 'True'),
        condition('Published', 'True'),
        condition('Reported', 'False'),
      ],
      { status: 'True' },
      'Ready',
    ],
  ])('of %s', (_, conditions, ready, phase) => {
    const change = summarizeReady(conditions, 3);
    expect(change).toMatchObject({ type: 'Ready', observedGeneration: 3, ...ready });
    const withReady = conditions.length ? setCondition(conditions, change, NOW) : conditions;
    const status = { phase: 'Pending' as const, conditions: withReady, steps: [] };
    expect(phaseOf({ metadata: {}, status })).toBe(phase);
    expect(phaseOf({ metadata: { deletionTimestamp: NOW }, status })).toBe('Terminating');
  });
});
