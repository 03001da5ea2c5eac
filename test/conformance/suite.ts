// Runs upstream's tests with Ginkgo's own runner, which spreads them over processes and runs serial ones alone at the end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { Progress } from '../host/progress.ts';
import { parseReport, type Report } from './results.ts';

export interface SuiteOptions {
  ginkgo: string;
  /** Upstream's compiled tests. */
  tests: string;
  kubectl: string;
  kubeconfig: string;
  /** Where the log and the reports are written. */
  folder: string;
  /** Regular expression on names of tests. */
  focus?: string;
  processes: number;
  timeLimitMinutes: number;
  signal: AbortSignal;
}

const REPORT = 'report.json';
const PROGRESS_INTERVAL_MS = 60_000;
/** Beyond the time limit, for the tests to clean up. */
const GRACE_MS = 10 * 60_000;

/** @throws when there is no report, whatever the tests say. */
export async function runSuite(options: SuiteOptions, progress: Progress): Promise<Report> {
  const { folder, timeLimitMinutes } = options;
  await mkdir(folder, { recursive: true });
  const log = createWriteStream(join(folder, 'tests.log'));
  const limit = AbortSignal.timeout(timeLimitMinutes * 60_000 + GRACE_MS);
  const child = spawn('nice', ginkgoCommand(options), {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([options.signal, limit]),
    killSignal: 'SIGINT',
  });
  let done = 0;
  let failed = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    const text = chunk.toString();
    done += text.split('•').length - 1;
    failed += text.split('• [').length - 1;
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const timer = setInterval(
    () => progress.step(`${done} tests done, ${failed} failed`),
    PROGRESS_INTERVAL_MS,
  );
  try {
    await once(child, 'close');
  } finally {
    clearInterval(timer);
    await finished(log.end());
  }
  return parseReport(JSON.parse(await readFile(join(folder, REPORT), 'utf8')));
}

function ginkgoCommand(options: SuiteOptions): string[] {
  const { ginkgo, tests, kubectl, kubeconfig, folder, focus, processes, timeLimitMinutes } = options;
  return [
    ...[ginkgo, 'run', '--no-color', '--silence-skips', `--procs=${processes}`],
    ...['--label-filter=Conformance', ...(focus ? [`--focus=${focus}`] : [])],
    ...[`--timeout=${timeLimitMinutes}m`, `--output-dir=${folder}`],
    ...[`--json-report=${REPORT}`, '--junit-report=junit.xml'],
    ...[tests, '--', `--kubeconfig=${kubeconfig}`, `--kubectl-path=${kubectl}`, '--provider=skeleton'],
    // What the dump tells is in the log and the reports too, and taking it fails where pods are somebody else's to read.
    ...['--dump-logs-on-failure=false', '--disable-log-dump'],
  ];
}
