import { describe, expect, test } from 'vitest';
import type { Environment } from '../../src/environments/resource.ts';
import { decideSweep, type SweepView } from './decisions.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const HOUR_MS = 3_600_000;

interface Given {
  expiresInMs?: number;
  ageMs?: number;
  generation?: number;
  observed?: number;
  ready?: 'True' | 'False';
  deleting?: boolean;
}

function environment(name: string, given: Given = {}): Environment {
  const { expiresInMs = HOUR_MS, ageMs = HOUR_MS, generation = 1, observed = 1, ready = 'True' } = given;
  const lastTransitionTime = '2026-11-23T11:00:00Z';
  return {
    metadata: {
      name,
      uid: `uid-${name}`,
      generation,
      creationTimestamp: new Date(NOW - ageMs).toISOString(),
      ...(given.deleting && { deletionTimestamp: '2026-11-23T11:59:00Z' }),
    },
    spec: {
      owner: 'token:tests',
      kubernetesVersion: '1.34',
      expiresAt: new Date(NOW + expiresInMs).toISOString(),
    },
    status: {
      phase: 'Ready',
      observedGeneration: observed,
      conditions: [{ type: 'Ready', status: ready, reason: 'Any', message: '', lastTransitionTime }],
      steps: [],
    },
  };
}

function decide(environments: Environment[], view: Partial<SweepView> = {}) {
  const decisions = decideSweep({
    environments,
    nowMs: NOW,
    isTimeTrusted: true,
    expiredBefore: new Set(),
    lookedAt: new Set(environments.map(({ metadata }) => metadata.uid ?? '')),
    maxLifetimeMs: 168 * HOUR_MS,
    ...view,
  });
  const names = (found: readonly Environment[]) => found.map(({ metadata }) => metadata.name);
  return {
    ...decisions,
    reconcile: names(decisions.reconcile),
    lookAt: names(decisions.lookAt),
    expire: names(decisions.expire),
  };
}

describe('what is queued', () => {
  test('is what was not observed and what is being deleted', () => {
    const { reconcile } = decide([
      environment('done'),
      environment('changed', { generation: 2 }),
      environment('going', { deleting: true }),
    ]);
    expect(reconcile).toEqual(['changed', 'going']);
  });

  test('is not what failed for good', () => {
    expect(decide([environment('failed', { ready: 'False' })]).reconcile).toEqual([]);
  });

  test('is what was ready and has not been looked at for long, too', () => {
    const all = [environment('ready'), environment('failed', { ready: 'False' })];
    expect(decide(all, { lookedAt: new Set() }).lookAt).toEqual(['ready']);
    expect(decide(all).lookAt).toEqual([]);
  });
});

describe('what expires', () => {
  const over = environment('over', { expiresInMs: -1 });

  test('F19: is found so twice before anything is deleted', () => {
    const first = decide([over, environment('young')]);
    expect(first.expire).toEqual([]);
    expect([...first.expired]).toEqual(['uid-over']);
    expect(decide([over], { expiredBefore: first.expired }).expire).toEqual(['over']);
  });

  test('F19: is nothing while the time cannot be trusted', () => {
    const distrusting = decide([over], { expiredBefore: new Set(['uid-over']), isTimeTrusted: false });
    expect(distrusting.expire).toEqual([]);
    expect(distrusting.expired.size).toBe(0);
  });

  test('is not what was extended between the looks', () => {
    const extended = environment('over', { expiresInMs: HOUR_MS });
    expect(decide([extended], { expiredBefore: new Set(['uid-over']) }).expire).toEqual([]);
  });

  test('is not what is being deleted already', () => {
    const going = environment('over', { expiresInMs: -1, deleting: true });
    expect(decide([going], { expiredBefore: new Set(['uid-over']) }).expire).toEqual([]);
  });
});

describe('T30: a time to live', () => {
  test('that was written beyond the longest life is cut to it', () => {
    const endless = environment('endless', { expiresInMs: 10_000 * HOUR_MS, ageMs: 2 * HOUR_MS });
    const { shorten } = decide([endless, environment('plain')]);
    expect(shorten).toEqual([
      { environment: endless, expiresAt: new Date(NOW + 166 * HOUR_MS).toISOString() },
    ]);
  });
});
