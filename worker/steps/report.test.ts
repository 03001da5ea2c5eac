import { describe, expect, test } from 'vitest';
import type { Condition, Environment } from '../../src/environments/resource.ts';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { commentContent } from './report.ts';

const clock = createManualClock();

function environment(
  ready: Pick<Condition, 'status' | 'message'>,
  change: Partial<Environment> = {},
): Environment {
  return {
    metadata: { name: 'shop-412', uid: 'u1' },
    spec: {
      owner: 'github:acme/shop',
      kubernetesVersion: '1.34',
      expiresAt: '2099-01-01T00:00:00Z',
      pullRequest: {
        repository: 'acme/shop',
        repositoryId: 1,
        installationId: 2,
        number: 412,
        commit: 'c'.repeat(40),
      },
    },
    status: {
      phase: 'Ready',
      conditions: [{ type: 'Ready', reason: 'Any', lastTransitionTime: '2026-01-01T00:00:00Z', ...ready }],
      steps: [
        { name: 'namespace', startedAt: '2026-01-01T00:00:00Z', durationMs: 100 },
        { name: 'control-plane', startedAt: '2026-01-01T00:00:00Z', durationMs: 400 },
        { name: 'api-ready', startedAt: '2026-01-01T00:00:01Z', durationMs: 3_300 },
        { name: 'deploy', startedAt: '2026-01-01T00:00:04Z', durationMs: 6_100 },
        { name: 'report', startedAt: '2026-01-01T00:00:10Z' },
      ],
      endpoints: [
        {
          name: '',
          url: 'https://shop-412-x.preview.example.com',
          hostLabel: 'shop-412-x',
          clusterIp: '10.96.0.7',
          port: 80,
        },
      ],
    },
    ...change,
  };
}

describe('what the pull request is told', () => {
  test('of a preview that is ready: where it is, and how long it took', () => {
    const content = commentContent(
      environment({ status: 'True', message: 'Ready' }),
      { state: 'open' },
      clock,
    );
    expect(content).toMatchObject({
      state: 'ready',
      commit: 'c'.repeat(40),
      previews: [{ name: '', url: 'https://shop-412-x.preview.example.com' }],
      steps: [
        { name: 'control plane', durationMs: 3_800 },
        { name: 'deploy', durationMs: 6_100 },
      ],
    });
  });

  test('of one that failed: why', () => {
    const failed = environment({ status: 'False', message: 'Deployment `web` is not available' });
    expect(commentContent(failed, { state: 'open' }, clock)).toMatchObject({
      state: 'failed',
      reason: 'Deployment `web` is not available',
    });
  });

  const deleted = { name: 'shop-412', uid: 'u1', deletionTimestamp: '2026-01-02T00:00:00Z' };
  test.each([
    ['merged', '2099-01-01T00:00:00Z', /merged/],
    ['closed', '2099-01-01T00:00:00Z', /closed/],
    ['open', '2025-12-31T00:00:00Z', /time to live is over/],
    ['open', '2099-01-01T00:00:00Z', /was deleted/],
  ] as const)(
    'of one that was torn down (%s, until %s): why, and what was deleted',
    (state, expiresAt, reason) => {
      const ready = environment({ status: 'True', message: 'Ready' }, { metadata: deleted });
      ready.spec.expiresAt = expiresAt;
      const content = commentContent(ready, { state }, clock);
      expect(content).toMatchObject({ state: 'torn-down', reason: expect.stringMatching(reason) });
      expect(JSON.stringify(content)).toContain('mayfly-shop-412-');
    },
  );
});
