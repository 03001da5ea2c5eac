// Runs a program with an argument vector, never a shell, in an environment of its own, within limits of time and output.
import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { TimeoutError } from '../src/lib/errors.ts';

export interface ProgramRun {
  program: string;
  args: readonly string[];
  /** The whole environment: nothing of the worker's is inherited. */
  env: Readonly<Record<string, string>>;
  folder: string;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface ProgramResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** What is beyond it is read and thrown away. */
const MAX_OUTPUT_LENGTH = 4 * 1024 * 1024;
/** From SIGTERM to SIGKILL. */
const KILL_GRACE_MS = 3_000;

/** Rejects with `TimeoutError` or the signal's reason only after the program has ended, so nothing writes after that. */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  const { program, args, env, folder: cwd, timeoutMs, signal } = run;
  signal.throwIfAborted();
  const child = spawn(program, args, { cwd, env, shell: false, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const limit = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([signal, limit]);
  let killer: NodeJS.Timeout | undefined;
  const end = () => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS);
  };
  stop.addEventListener('abort', end, { once: true });
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? -1));
    });
    signal.throwIfAborted();
    if (limit.aborted) {
      throw new TimeoutError({
        code: 'ProgramTimeout',
        message: `${args[0]} took longer than ${timeoutMs} ms`,
      });
    }
    return { exitCode, stdout: stdout(), stderr: stderr() };
  } finally {
    stop.removeEventListener('abort', end);
    clearTimeout(killer);
  }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const decoder = new StringDecoder('utf8');
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    if (text.length < MAX_OUTPUT_LENGTH) text += decoder.write(chunk);
  });
  return () => text;
}
