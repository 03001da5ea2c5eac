// Runs programs of the machine: bounded in time, output captured, failures that say what went wrong.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string | Readable;
  readonly signal?: AbortSignal;
  /** Called with each line of standard error, for progress. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const KEPT_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Runs a program to its end, whatever its exit code. Rejects when it cannot start, is aborted or takes too long. */
export async function tryRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    signal,
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr, options.onLine);
  // A program may end without reading all of its input; its exit code tells whether that matters.
  const fed =
    typeof options.input === 'object'
      ? pipeline(options.input, child.stdin).catch(() => undefined)
      : void child.stdin.on('error', () => undefined).end(options.input ?? '');
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    await fed;
    return { code: code ?? -1, stdout: stdout(), stderr: stderr() };
  } catch (cause) {
    if (timeout.aborted) throw new Error(`${program} took longer than ${timeoutMs} ms`, { cause });
    throw new Error(`cannot run ${program}: ${(cause as Error).message}`, { cause });
  }
}

/** Runs a program that has to succeed and returns what it printed. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await tryRun(program, args, options);
  if (result.code !== 0) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-20).join('\n');
    throw new Error(`${[program, ...args].join(' ').slice(0, 300)} ended with ${result.code}: ${said}`);
  }
  return result.stdout;
}

function collect(stream: Readable, onLine?: (line: string) => void): () => string {
  let kept = '';
  let partial = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    kept = (kept + chunk).slice(-KEPT_OUTPUT_BYTES);
    if (!onLine) return;
    const lines = (partial + chunk).split('\n');
    partial = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  return () => kept;
}
