import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { runProgram } from './subprocess.ts';

const NEVER = new AbortController().signal;
const node = (script: string, change: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  runProgram({
    program: process.execPath,
    args: ['-e', script],
    env: { ONLY: 'this' },
    folder: tmpdir(),
    timeoutMs: 10_000,
    signal: NEVER,
    ...change,
  });

describe('a program', () => {
  test('hands back what it says and how it ends', async () => {
    const result = await node('console.log("out"); console.error("err"); process.exitCode = 3');
    expect(result).toEqual({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  test("T24: sees nothing of the worker's environment", async () => {
    const { stdout } = await node('console.log(JSON.stringify(process.env))');
    expect(JSON.parse(stdout)).toEqual({ ONLY: 'this' });
  });

  test('is ended at its time limit, also when it does not want to', async () => {
    const stubborn = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
    await expect(node(stubborn, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'ProgramTimeout' });
  });

  test('has ended when the abort is told', async () => {
    const abort = new AbortController();
    const running = node('setInterval(() => {}, 1000)', { signal: abort.signal });
    abort.abort(new Error('no longer wanted'));
    await expect(running).rejects.toThrow('no longer wanted');
  });

  test('that cannot be started is an error', async () => {
    const start = runProgram({
      program: '/nonexistent/helm',
      args: [],
      env: {},
      folder: tmpdir(),
      timeoutMs: 1_000,
      signal: NEVER,
    });
    await expect(start).rejects.toThrow(/ENOENT/);
  });
});
