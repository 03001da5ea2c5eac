// A test host of one file's own, whatever cluster other tests use: for tests of the host itself, and for those that break its parts.
import { join } from 'node:path';
import { run } from '../host/command.ts';
import { type Instance, planInstance } from '../host/instance.ts';

const CLI = join(import.meta.dirname, '..', 'host', 'cli.ts');
const TIMEOUT_MS = 170_000;

export interface OwnHost extends Instance {
  /** @param options further ones of `npm run host -- up`. */
  up(...options: string[]): Promise<void>;
  /** Loads the project's image. */
  load(): Promise<void>;
  down(): Promise<void>;
}

/** Not up yet. The names of two that may be up at once must not share a slot (test/host/instance.ts). */
export function ownHost(name: string, nodeCount: number): OwnHost {
  const cli = async (...args: string[]) => {
    const env = { ...process.env, MAYFLY_KUBECONFIG: '' };
    await run(process.execPath, [CLI, '--name', name, ...args], { env, timeoutMs: TIMEOUT_MS });
  };
  return {
    ...planInstance(name, nodeCount),
    up: (...options) => cli('up', '--nodes', String(nodeCount), ...options),
    load: () => cli('load'),
    down: () => cli('down'),
  };
}
