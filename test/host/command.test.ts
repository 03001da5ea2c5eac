// Running programs: limits, and errors that say what the program said.
import { describe, expect, it } from 'vitest';
import { run, tryRun } from './command.ts';

describe('run', () => {
  it('returns what the program printed, and passes it its input', async () => {
    expect(await run('cat', [], { input: 'given' })).toBe('given');
  });

  it('fails with what the program said', async () => {
    await expect(run('sh', ['-c', 'echo the reason >&2; exit 3'])).rejects.toThrow(
      'ended with 3: the reason',
    );
  });

  it('names a program that does not exist', async () => {
    await expect(run('no-such-program', [])).rejects.toThrow('cannot run no-such-program');
  });

  it('kills a program that takes too long', async () => {
    await expect(run('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow('sleep took longer than 50 ms');
  });

  it('reports whole lines of standard error while the program runs', async () => {
    const lines: string[] = [];
    await run('sh', ['-c', 'printf "one\\ntw" >&2; printf "o\\n" >&2'], {
      onLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(['one', 'two']);
  });
});

describe('tryRun', () => {
  it('returns the exit code instead of failing', async () => {
    expect((await tryRun('sh', ['-c', 'exit 7'])).code).toBe(7);
  });

  it('does not mind a program that ignores its input', async () => {
    expect((await tryRun('true', [], { input: 'x'.repeat(1_000_000) })).code).toBe(0);
  });
});
