// npm run conformance: upstream's conformance tests against a virtual cluster, and docs/conformance.md from what they say.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { buildBinaries, KUBERNETES_VERSION } from '../host/binaries.ts';
import { cacheDir } from '../host/instance.ts';
import { installPackages } from '../host/packages.ts';
import { createProgress } from '../host/progress.ts';
import { kubectlPath } from '../support/tools.ts';
import { withConformanceCluster } from './cluster.ts';
import { renderDocument } from './document.ts';
import { buildTestImages } from './images.ts';
import { type KnownFailures, readKnownFailures } from './known-failures.ts';
import { buildConformancePrograms } from './programs.ts';
import { count, type Report, type Results } from './results.ts';
import { runSuite } from './suite.ts';

const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs', 'conformance.md');

const progress = createProgress(
  (line) => process.stderr.write(line),
  () => performance.now(),
);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`received ${signal}`)));
}

interface Options {
  focus?: string;
  name: string;
  keep: boolean;
  processes: number;
  timeLimit: number;
}

const program = new Command('conformance')
  .description(
    `The conformance tests of Kubernetes ${KUBERNETES_VERSION} against a virtual cluster on a host of two nodes`,
  )
  .option('--focus <regex>', 'only tests whose name matches')
  .option('--name <name>', 'instance of the test host', 'conformance')
  .option('--keep', 'leave the cluster in the end', false)
  .option('--processes <count>', 'tests at once', wholeNumber, 4)
  .option('--time-limit <minutes>', 'end the tests after this time', wholeNumber, 240)
  .action(runTests);
program
  .command('document')
  .description('write docs/conformance.md again from the newest result of each test')
  .action(async () => {
    const { tests, results } = await readNewest(newestFile(program.opts<Options>().name));
    await writeDocument(tests, results);
  });

async function runTests({ focus, name, keep, processes, timeLimit }: Options): Promise<void> {
  const cache = cacheDir();
  const folder = join(cache, 'conformance', name);
  await installPackages(progress);
  const host = await buildBinaries(cache, progress);
  const programs = await buildConformancePrograms(cache, progress);
  const images = await buildTestImages({ host, programs, cache }, progress);
  const report = await withConformanceCluster({ name, images, keep }, progress, async ({ inside }) => {
    progress.step(`running tests; log and reports are in ${folder}`);
    const report = await runSuite(
      {
        ...{ ginkgo: programs.ginkgo, tests: programs.tests, kubectl: await kubectlPath() },
        ...{ kubeconfig: inside.kubeconfig, folder, focus, processes },
        ...{ timeLimitMinutes: timeLimit, signal: stop.signal },
      },
      progress,
    );
    // Before the cluster is taken away, which may fail.
    const newest = await remember(report, newestFile(name));
    await writeDocument(newest.tests, newest.results);
    return report;
  });
  summarize(report.results, await readKnownFailures());
}

function newestFile(name: string): string {
  return join(cacheDir(), 'conformance', name, 'newest.json');
}

/** Runs with a focus bring the results of some tests up to date and leave the others. */
async function remember({ tests, results }: Report, file: string): Promise<Report> {
  const before = await readNewest(file);
  const all: Results = { ...before.results, ...results };
  const known = tests.flatMap((test) => (all[test] ? [[test, all[test]] as const] : []));
  const newest = { tests, results: Object.fromEntries(known) };
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, JSON.stringify(newest, undefined, 1));
  return newest;
}

async function readNewest(file: string): Promise<Report> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? { tests: [], results: {} } : (JSON.parse(text) as Report);
}

async function writeDocument(tests: readonly string[], results: Results): Promise<void> {
  const missing = tests.length - Object.keys(results).length;
  if (tests.length === 0 || missing > 0) {
    progress.step(`docs/conformance.md is as it was: ${missing} tests have never been run here`);
    return;
  }
  const known = await readKnownFailures();
  await writeFile(DOCUMENT, renderDocument({ kubernetesVersion: KUBERNETES_VERSION, results, known }));
  progress.step('docs/conformance.md is written');
}

/** The exit code says whether a test failed that is not known to. */
function summarize(results: Results, known: KnownFailures): void {
  for (const [test, { outcome, message = '' }] of Object.entries(results)) {
    if (outcome !== 'failed') continue;
    const isKnown = known.has(test);
    process.stdout.write(`failed${isKnown ? ', as known' : ''}: ${test}\n`);
    if (isKnown) continue;
    process.stdout.write(`  ${message.split('\n')[0]}\n`);
    process.exitCode = 1;
  }
  const { passed, failed, skipped } = count(Object.values(results));
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('not a whole number above zero');
  return Number(text);
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
