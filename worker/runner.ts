// Reconciles one environment: runs the steps that are not done, under the environment's lease, and alone writes its status.
import { isDeepStrictEqual } from 'node:util';
import { findCondition, isConditionTrue } from '../src/environments/conditions.ts';
import { type Environment, TEARDOWN_FINALIZER } from '../src/environments/resource.ts';
import { isConflict } from '../src/kube/errors.ts';
import type { HeldLease } from '../src/kube/lease.ts';
import type { Clock } from '../src/lib/clock.ts';
import { ConflictError, UnavailableError } from '../src/lib/errors.ts';
import type { Logger } from '../src/lib/logger.ts';
import { failureOf } from './failure.ts';
import { isSuperseded } from './intent.ts';
import { type RunEvent, recordEvent } from './status-record.ts';
import type { RunState, Step } from './step.ts';

/** Environments as the runner needs them. */
export interface EnvironmentAccess {
  /** From the API server, not from a copy; undefined when there is none. */
  read(name: string, signal: AbortSignal): Promise<Environment | undefined>;
  /** Resolves with what was stored; rejects with a conflict when it is no longer the version that was read. */
  writeStatus(environment: Environment, signal: AbortSignal): Promise<Environment>;
  /** Environments that were not made by the service may lack it. Rejects with a conflict as `writeStatus` does. */
  addFinalizer(environment: Environment, signal: AbortSignal): Promise<Environment>;
  removeFinalizer(environment: Environment, signal: AbortSignal): Promise<void>;
  /** Tells of changes from now on, until the returned function is called. */
  subscribe(name: string, listener: (environment: Environment) => void): () => void;
}

export interface RunnerDeps {
  environments: EnvironmentAccess;
  /** Undefined: another worker holds the environment's lease. */
  acquireLease(name: string, signal: AbortSignal): Promise<HeldLease | undefined>;
  /** What makes an environment ready, in order. */
  provision: readonly Step[];
  teardown: readonly Step[];
  /** Tells the pull request, after success as after failure. */
  report: Step;
  clock: Clock;
  logger: Logger;
}

export interface Runner {
  /**
   * Resolves when the newest generation was observed: everything done, or failed in a way that only a change can help.
   * Rejects when trying again may help, and with the signal's reason. `gone`: the environment no longer exists.
   */
  reconcile(name: string, signal: AbortSignal): Promise<'observed' | 'gone'>;
}

/** How long after its deletion an environment is kept for the report to get through. */
const TEARDOWN_REPORT_LIMIT_MS = 60 * 60_000;

class SupersededError extends ConflictError {
  constructor() {
    super({ code: 'Superseded', message: 'the environment has changed' });
  }
}

export function createRunner(deps: RunnerDeps): Runner {
  return {
    async reconcile(name, signal) {
      const lease = await deps.acquireLease(name, signal);
      if (!lease) {
        throw new UnavailableError({
          code: 'LeaseHeld',
          message: `Another worker is at work on ${name}`,
        });
      }
      try {
        for (;;) {
          try {
            return await reconcileOnce(deps, lease, name, signal);
          } catch (error) {
            if (!(error instanceof SupersededError)) throw error;
            deps.logger.info({ environment: name }, 'the environment has changed, starting over');
          }
        }
      } finally {
        await lease.release();
      }
    },
  };
}

async function reconcileOnce(
  deps: RunnerDeps,
  lease: HeldLease,
  name: string,
  jobSignal: AbortSignal,
): Promise<'observed' | 'gone'> {
  const superseded = new AbortController();
  let started: Environment | undefined;
  let newest: Environment | undefined;
  const check = () => {
    if (started && newest && isSuperseded(started, newest)) superseded.abort(new SupersededError());
  };
  const unsubscribe = deps.environments.subscribe(name, (environment) => {
    newest = environment;
    check();
  });
  try {
    const signal = AbortSignal.any([jobSignal, lease.lost, superseded.signal]);
    started = await deps.environments.read(name, signal);
    if (!started) return 'gone';
    check();
    if (!started.metadata.deletionTimestamp) started = await deps.environments.addFinalizer(started, signal);
    return await createRun(deps, lease, started, signal).execute();
  } finally {
    unsubscribe();
  }
}

function createRun(deps: RunnerDeps, lease: HeldLease, started: Environment, signal: AbortSignal) {
  const { environments, clock } = deps;
  const name = started.metadata.name ?? '';
  const logger = deps.logger.child({ environment: name });
  const deleting = started.metadata.deletionTimestamp !== undefined;
  const ran = new Set<string>();
  /** As it is stored. */
  let stored = started;
  /** As it is to be stored next. */
  let environment = started;
  const state: RunState = {
    get environment() {
      return environment;
    },
    ran,
  };

  function record(event: RunEvent): void {
    const status = recordEvent(environment, event, new Date(clock.nowMs()).toISOString());
    environment = { ...environment, status };
  }

  async function flush(): Promise<void> {
    while (!isDeepStrictEqual(environment.status, stored.status)) {
      signal.throwIfAborted();
      // A process that was stopped and resumed gets here before the timer behind `lost` fires.
      if (!lease.isHeld()) throw lease.lost.reason;
      try {
        stored = await environments.writeStatus(environment, signal);
        environment = { ...stored, status: environment.status };
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
        await followChange();
      }
    }
  }

  /** Somebody has written the environment. Goes on with it, unless it wants something else or another runner wrote it. */
  async function followChange(): Promise<void> {
    const current = await environments.read(name, signal);
    if (!current || isSuperseded(started, current)) throw new SupersededError();
    if (!isDeepStrictEqual(current.status, stored.status)) {
      throw new ConflictError({ code: 'LeaseLost', message: `another worker writes the status of ${name}` });
    }
    stored = current;
    environment = { ...current, status: environment.status };
  }

  /** Resolves with the message of its condition when it ran. */
  async function runStep(step: Step): Promise<string | undefined> {
    if (await step.isDone(state, signal)) return undefined;
    record({ kind: 'started', step: step.name, condition: step.condition });
    await flush();
    const startedMs = clock.monotonicMs();
    const { message, facts } = await step.run(state, signal);
    const durationMs = clock.monotonicMs() - startedMs;
    ran.add(step.name);
    record({ kind: 'finished', step: step.name, durationMs, facts });
    logger.info({ step: step.name, durationMs: Math.round(durationMs) }, 'step done');
    return message;
  }

  /** Rejects when trying again may help; resolves with false when a step failed for good. */
  async function runSteps(steps: readonly Step[]): Promise<boolean> {
    for (const [index, step] of steps.entries()) {
      const { condition } = step;
      try {
        const message = await runStep(step);
        signal.throwIfAborted();
        const isLast = steps[index + 1]?.condition !== condition;
        if (isLast && !isConditionTrue(environment.status?.conditions, condition)) {
          record({ kind: 'holds', condition, message: message ?? 'Nothing was left to do' });
        }
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof SupersededError) throw error;
        const failure = failureOf(error);
        record({ kind: 'failed', condition, failure });
        logger.warn({ step: step.name, reason: failure.reason, err: error }, 'step failed');
        if (failure.terminal && !deleting) return false;
        await flush();
        throw error;
      }
    }
    return true;
  }

  /** A GitHub that refuses to be told, or is away for long, does not hold what is torn down already. */
  async function reportTeardown(): Promise<void> {
    try {
      await runSteps([deps.report]);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SupersededError) throw error;
      const deletedMs = Date.parse(started.metadata.deletionTimestamp ?? '');
      if (!failureOf(error).terminal && clock.nowMs() - deletedMs < TEARDOWN_REPORT_LIMIT_MS) throw error;
      logger.warn({ err: error }, 'the pull request was not told of the teardown');
    }
  }

  return {
    async execute(): Promise<'observed' | 'gone'> {
      if (deleting) {
        if (!started.metadata.finalizers?.includes(TEARDOWN_FINALIZER)) return 'observed';
        await runSteps(deps.teardown);
        await reportTeardown();
        await flush();
        if (!lease.isHeld()) throw lease.lost.reason;
        await environments.removeFinalizer(environment, signal);
        return 'gone';
      }
      if (!hasFailedForGood(started)) await runSteps(deps.provision);
      await runSteps([deps.report]);
      record({ kind: 'observed' });
      await flush();
      return 'observed';
    },
  };
}

/** What failed for good is tried again only for another generation: nothing else would come out. */
function hasFailedForGood({ metadata, status }: Environment): boolean {
  const ready = findCondition(status?.conditions, 'Ready');
  return status?.observedGeneration === metadata.generation && ready?.status === 'False';
}
