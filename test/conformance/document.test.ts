import { expect, it } from 'vitest';
import { renderDocument } from './document.ts';
import { parseKnownFailures } from './known-failures.ts';
import type { Outcome } from './results.ts';

const known = parseKnownFailures(`
- reason: >-
    A node is the host's.
  tests:
    - '[sig-node] B'
    - '[sig-apps] D'
`);
const render = (outcomes: Record<string, Outcome>) =>
  renderDocument({
    kubernetesVersion: 'v1.34.4',
    known,
    results: Object.fromEntries(
      Object.entries(outcomes).map(([test, outcome]) => [test, { outcome, durationSeconds: 1 }]),
    ),
  });

it('counts by area, and names under each reason every test that does not pass', () => {
  const document = render({
    '[sig-node] A': 'passed',
    '[sig-node] B': 'failed',
    '[sig-apps] C': 'failed',
    '[sig-apps] D': 'skipped',
  });
  const [intro = '', failures = ''] = document.split('## What does not pass, and why\n');
  expect(intro).toContain('Of the 4 tests that Kubernetes v1.34.4');
  expect(intro).toContain(
    [
      '| area     | passed | failed | skipped | tests |',
      '| -------- | -----: | -----: | ------: | ----: |',
      '| sig-apps |      0 |      1 |       1 |     2 |',
      '| sig-node |      1 |      1 |       0 |     2 |',
    ].join('\n'),
  );
  expect(failures.trim().split('\n')).toEqual([
    'Not explained yet.',
    '',
    '- `[sig-apps] C`',
    '',
    "A node is the host's.",
    '',
    '- `[sig-apps] D` (skips itself)',
    '- `[sig-node] B`',
  ]);
});

it('has nothing to explain when all tests pass, whatever was known to fail', () => {
  expect(render({ '[sig-node] B': 'passed' })).not.toContain('## What does not pass');
});

it('refuses a list of reasons that says something else', () => {
  expect(() => parseKnownFailures('- reason: x\n  test: y')).toThrow();
  expect(parseKnownFailures('')).toEqual(new Map());
});
