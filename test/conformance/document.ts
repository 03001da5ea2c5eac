// docs/conformance.md: how many tests pass in which area, and every one that does not, with its reason. Pure.
import type { KnownFailures } from './known-failures.ts';
import { areaOf, count, type Results } from './results.ts';

export interface DocumentInput {
  kubernetesVersion: string;
  results: Results;
  known: KnownFailures;
}

const UNEXPLAINED = 'Not explained yet.';

export function renderDocument({ kubernetesVersion, results, known }: DocumentInput): string {
  const { passed, failed, skipped } = count(Object.values(results));
  const total = passed + failed + skipped;
  return [
    '# Conformance',
    '',
    '<!-- Written by `npm run conformance`; the reasons are in test/conformance/known-failures.yaml. -->',
    '',
    `Of the ${total} tests that Kubernetes ${kubernetesVersion} calls conformance, a virtual cluster made by`,
    `\`charts/virtual-cluster\` passes ${passed}; ${failed} fail, ${skipped} skip themselves. They are upstream's own program,`,
    'run against a virtual cluster on a host of two nodes with `isolation.profile: none` and `sync.nodes.mode: all`, as for a',
    'tenant whom the operator trusts: many tests use privileged pods, host ports and paths of the node.',
    '',
    ...areaTable(results),
    '',
    ...failures(results, known),
  ].join('\n');
}

function areaTable(results: Results): string[] {
  const rows = [...areas(results)].map(([area, tests]) => {
    const { passed, failed, skipped } = count(tests.map(([, result]) => result));
    return [area, `${passed}`, `${failed}`, `${skipped}`, `${tests.length}`];
  });
  const table = [['area', 'passed', 'failed', 'skipped', 'tests'], ...rows];
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  const [head = [], ...body] = table;
  return [line(head), line(rule), ...body.map(line)];
}

/** Tests that fail for one reason stand together. */
function failures(results: Results, known: KnownFailures): string[] {
  const byReason = new Map<string, string[]>();
  for (const [test, { outcome }] of sorted(results)) {
    if (outcome === 'passed') continue;
    const reason = known.get(test) ?? UNEXPLAINED;
    byReason.set(reason, [...(byReason.get(reason) ?? []), test]);
  }
  if (byReason.size === 0) return [];
  return [
    '## What does not pass, and why',
    '',
    ...[...byReason].flatMap(([reason, tests]) => [
      reason,
      '',
      ...tests.map((test) => `- \`${test}\`${results[test]?.outcome === 'skipped' ? ' (skips itself)' : ''}`),
      '',
    ]),
  ];
}

function areas(results: Results): Map<string, [string, Results[string]][]> {
  const byArea = new Map<string, [string, Results[string]][]>();
  for (const entry of sorted(results)) {
    const area = areaOf(entry[0]);
    byArea.set(area, [...(byArea.get(area) ?? []), entry]);
  }
  return byArea;
}

function sorted(results: Results): [string, Results[string]][] {
  return Object.entries(results).sort(([one], [other]) => (one < other ? -1 : 1));
}
