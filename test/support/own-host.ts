// A test host of one file's own, whatever cluster other tests use: for tests of the host itself, and for those that break its parts.
import { join } from 'node:path';
import { run } from '../host/command.ts';
import { type Family, familiesOf, type Instance, planInstance } from '../host/instance.ts';

const CLI = join(import.meta.dirname, '..', 'host', 'cli.ts');
const TIMEOUT_MS = 170_000;

export interface OwnHost extends Instance {
  /** @param options further ones of `npm run host -- up`. */
  up(...options: string[]): Promise<void>;
  /** Loads the project's image. */
  load(): Promise<void>;
  down(): Promise<void>;
}

/**
 * Not up yet. The names of two that may be up at once must not share a slot (test/host/instance.ts).
 * @param firstOfBoth of a dual-stack host; without it, the host has IPv4 only.
 */
export function ownHost(name: string, nodeCount: number, firstOfBoth?: Family): OwnHost {
  const families = familiesOf(firstOfBoth);
  const shape = ['--nodes', String(nodeCount), ...(firstOfBoth ? ['--dual-stack', firstOfBoth] : [])];
  const cli = async (...args: string[]) => {
    const env = { ...process.env, MAYFLY_KUBECONFIG: '' };
    await run(process.execPath, [CLI, '--name', name, ...args], { env, timeoutMs: TIMEOUT_MS });
  };
  return {
    ...planInstance(name, nodeCount, { families }),
    up: (...options) => cli('up', ...shape, ...options),
    load: () => cli('load'),
    down: () => cli('down'),
  };
}
