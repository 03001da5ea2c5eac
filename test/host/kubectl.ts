// The few requests that starting a cluster takes, by the kubectl that was built with it.
import { setTimeout as delay } from 'node:timers/promises';
import { type RunResult, run, tryRun } from './command.ts';

export interface Kubectl {
  run(args: readonly string[], input?: string): Promise<string>;
  attempt(args: readonly string[]): Promise<RunResult>;
  /** Repeats a request until it succeeds. */
  retry(args: readonly string[], timeoutMs: number, input?: string): Promise<string>;
}

const RETRY_PAUSE_MS = 150;
const REQUEST_TIMEOUT_MS = 90_000;

export function createKubectl(program: string, kubeconfig: string): Kubectl {
  const withConfig = (args: readonly string[]) => ['--kubeconfig', kubeconfig, ...args];
  const kubectl: Kubectl = {
    run: (args, input) =>
      run(program, withConfig(args), { input: input ?? '', timeoutMs: REQUEST_TIMEOUT_MS }),
    attempt: (args) => tryRun(program, withConfig(args), { timeoutMs: REQUEST_TIMEOUT_MS }),
    async retry(args, timeoutMs, input) {
      const deadlineMs = Date.now() + timeoutMs;
      for (;;) {
        try {
          return await kubectl.run(args, input);
        } catch (error) {
          if (Date.now() > deadlineMs) throw error;
          await delay(RETRY_PAUSE_MS);
        }
      }
    },
  };
  return kubectl;
}
