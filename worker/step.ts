// What a step of a reconcile run is. Steps change the world; the runner alone writes what is known about it into the status.
import type { ConditionType, Environment, EnvironmentStatus } from '../src/environments/resource.ts';

export interface Step {
  /** As in `status.steps[].name`. */
  readonly name: string;
  /** The condition that this step works on. It is True when the last step of it is done. */
  readonly condition: ConditionType;
  /** Whether the world is already as `run` would leave it. Reads only; asked again on every run. */
  isDone(state: RunState, signal: AbortSignal): Promise<boolean>;
  /**
   * Makes it so, from wherever an earlier run was killed. Rejects with an `InvalidInputError` or `ForbiddenError` when trying
   * again cannot help, with anything else when it can, and with the signal's reason when aborted.
   */
  run(state: RunState, signal: AbortSignal): Promise<StepResult>;
}

export interface RunState {
  /** As it was when the run started, with the status as this run has written it since. */
  readonly environment: Environment;
  /** Names of the steps that ran in this run. */
  readonly ran: ReadonlySet<string>;
}

export interface StepResult {
  /** Of the condition, for people. */
  message: string;
  /** Facts to keep in the status. */
  facts?: Partial<StatusFacts>;
}

/** The part of the status that steps find out; the rest is the runner's. */
export type StatusFacts = Pick<EnvironmentStatus, 'commit' | 'deployed' | 'host' | 'endpoints' | 'commentId'>;
