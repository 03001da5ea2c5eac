// A kubectl that goes on while a test does other things: exec, attach, port-forward.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { kubectlPath } from './tools.ts';

export interface KubectlSession {
  stdin: Writable;
  /** The first line of its output that matches. To be asked for once. */
  line(pattern: RegExp): Promise<RegExpMatchArray>;
  /** Resolves when it has ended, with its exit code and what it said on standard error. */
  ended: Promise<{ code: number | null; said: string }>;
  end(): void;
}

export async function startKubectl(
  kubeconfig: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<KubectlSession> {
  const child = spawn(await kubectlPath(), args, {
    env: { ...process.env, KUBECONFIG: kubeconfig, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It may have ended before all of its input was written.
  child.stdin.on('error', () => undefined);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000);
  });
  const ended = once(child, 'exit').then(([code]) => ({ code: code as number | null, said }));
  return {
    stdin: child.stdin,
    line: (pattern) => lineOf(child, pattern),
    ended,
    end: () => void child.kill(),
  };
}

async function lineOf({ stdout }: ChildProcess, pattern: RegExp): Promise<RegExpMatchArray> {
  if (!stdout) throw new Error('the output is not piped');
  for await (const line of createInterface(stdout)) {
    const found = line.match(pattern);
    if (found) return found;
  }
  throw new Error(`no line matched ${pattern}`);
}
