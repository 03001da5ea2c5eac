// `npm run bench -- NAME [--runs N] [--json FILE]`: measures, prints medians and spreads, asserts nothing.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { benchReady } from './ready.ts';
import type { Figures } from './statistics.ts';

const BENCHMARKS: Record<string, (options: { runs: number }) => Promise<Figures>> = {
  ready: benchReady,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '10' }, json: { type: 'string' } },
});
const [name = ''] = positionals;
const benchmark = BENCHMARKS[name];
const runs = Number(values.runs);
if (!benchmark || !Number.isInteger(runs) || runs < 1 || runs > 1000) {
  process.stderr.write(
    `Usage: npm run bench -- ${Object.keys(BENCHMARKS).join('|')} [--runs N] [--json FILE]\n`,
  );
  process.exit(2);
}
const figures = await benchmark({ runs });
if (values.json) await writeFile(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
