// `npm test`: every check there is, cheapest first, on a machine that may hold nothing yet. Ends with `N passed, N failed`.
// Arguments name the stages to run (`npm test -- unit integration`); without any, all run.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Tally {
  passed: number;
  failed: number;
}

interface Stage {
  name: string;
  run(): Promise<Tally>;
  /** Later stages cannot run when this one fails. */
  required?: boolean;
}

function run(command: string, args: string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code === 0));
  });
}

/** A command that counts as one check. */
function check(name: string, command: string, args: string[], required = false): Stage {
  return {
    name,
    required,
    run: async () => ((await run(command, args)) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }),
  };
}

/** A vitest project: each of its tests counts, and so does a file that could not even be loaded. */
function vitest(project: string): Stage {
  return {
    name: project,
    run: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'mayfly-test-'));
      try {
        const outputFile = join(folder, 'report.json');
        const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${outputFile}`];
        const succeeded = await run('vitest', ['run', '--project', project, ...reporters]);
        return tallyOf(JSON.parse(await readFile(outputFile, 'utf8')), succeeded);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

function tallyOf(
  report: {
    numPassedTests: number;
    numFailedTests: number;
    testResults: { status: string; assertionResults: unknown[] }[];
  },
  succeeded: boolean,
): Tally {
  const unloadable = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + unloadable;
  // An unhandled error, or no test at all, fails the run without failing any test.
  return { passed: report.numPassedTests, failed: succeeded ? failed : Math.max(failed, 1) };
}

const host = (command: string): [string, string[]] => ['node', ['test/host/cli.ts', command]];

const STAGES: Stage[] = [
  check('format-and-lint', 'biome', ['ci', '.']),
  check('types', 'tsc', ['--noEmit']),
  check('imports', 'depcruise', ['--config', '.dependency-cruiser.cjs', 'src', 'worker', 'test', 'scripts']),
  check('unused', 'knip', []),
  vitest('unit'),
  check('host', ...host('up'), true),
  check('images', ...host('load'), true),
  vitest('integration'),
  vitest('e2e'),
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `No such stage: ${unknown.join(', ')}. There are: ${STAGES.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}

const hostWasUp = await run(...host('status'));
const total: Tally = { passed: 0, failed: 0 };
for (const stage of STAGES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const startedMs = performance.now();
  process.stdout.write(`\n=== ${stage.name}\n`);
  const tally = await stage.run().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    return { passed: 0, failed: 1 };
  });
  total.passed += tally.passed;
  total.failed += tally.failed;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`=== ${stage.name}: ${tally.passed} passed, ${tally.failed} failed in ${seconds} s\n`);
  if (stage.required && tally.failed > 0) break;
}
if (!hostWasUp) await run(...host('down'));
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed > 0 ? 1 : 0;
