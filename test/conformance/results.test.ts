import { describe, expect, it } from 'vitest';
import { areaOf, count, parseReport } from './results.ts';

const spec = (text: string, more: object = {}) => ({
  ContainerHierarchyTexts: ['[sig-node] Pods', 'in a group'],
  ContainerHierarchyLabels: [['sig-node'], null],
  LeafNodeText: text,
  LeafNodeType: 'It',
  LeafNodeLabels: ['Conformance'],
  State: 'passed',
  NumAttempts: 1,
  RunTime: 1_500_000_000,
  ...more,
});
const report = (...specs: object[]) => parseReport([{ SuiteDescription: 'e2e', SpecReports: specs }]);
const name = (text: string) => `[sig-node] Pods in a group ${text}`;

describe('a report of Ginkgo', () => {
  it('tells conformance tests that ran from those that the focus left out', () => {
    const { tests, results } = report(
      spec('runs'),
      spec('is not chosen', { State: 'skipped', NumAttempts: 0, RunTime: 0 }),
      spec('is no conformance test', { LeafNodeLabels: ['Slow'] }),
      spec('is no test', { LeafNodeType: 'ReportAfterSuite' }),
    );
    expect(tests).toEqual([name('is not chosen'), name('runs')]);
    expect(results).toEqual({ [name('runs')]: { outcome: 'passed', durationSeconds: 1.5 } });
  });

  it('takes a label of a group for one of its tests', () => {
    const inherited = { LeafNodeLabels: null, ContainerHierarchyLabels: [['Conformance'], null] };
    expect(report(spec('runs', inherited)).tests).toEqual([name('runs')]);
  });

  it.each([
    ['passed', 'passed'],
    ['skipped', 'skipped'],
    ['failed', 'failed'],
    ['panicked', 'failed'],
    ['timedout', 'failed'],
    ['interrupted', 'failed'],
  ])('counts what has %s as %s', (state, outcome) => {
    expect(report(spec('runs', { State: state })).results[name('runs')]?.outcome).toBe(outcome);
  });

  it('keeps the beginning of what a failure says', () => {
    const message = 'x'.repeat(5_000);
    const { results } = report(spec('fails', { State: 'failed', Failure: { Message: message } }));
    expect(results[name('fails')]?.message).toHaveLength(2_000);
  });

  it('is refused when it is something else', () => {
    expect(() => parseReport({ SpecReports: [] })).toThrow();
  });
});

it('counts outcomes', () => {
  const outcomes = ['passed', 'passed', 'failed', 'skipped'] as const;
  expect(count(outcomes.map((outcome) => ({ outcome, durationSeconds: 1 })))).toEqual({
    passed: 2,
    failed: 1,
    skipped: 1,
  });
});

it('reads the area from the name', () => {
  expect(areaOf('[sig-api-machinery] Watchers should observe')).toBe('sig-api-machinery');
  expect(areaOf('Watchers')).toBe('other');
});
