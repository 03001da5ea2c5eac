// The status of an environment while a run writes it: conditions, timings and facts, computed purely from what happened.
import { PROGRESSING, setCondition, summarizeReady } from '../src/environments/conditions.ts';
import { phaseOf } from '../src/environments/phase.ts';
import type {
  Condition,
  ConditionType,
  Environment,
  EnvironmentStatus,
} from '../src/environments/resource.ts';
import type { Failure } from './failure.ts';
import type { StatusFacts } from './step.ts';

export type RunEvent =
  | { kind: 'started'; step: string; condition: ConditionType }
  | { kind: 'finished'; step: string; durationMs: number; facts?: Partial<StatusFacts> }
  | { kind: 'holds'; condition: ConditionType; message: string }
  | { kind: 'failed'; condition: ConditionType; failure: Failure }
  /** The run is over: everything that this generation wants was done, or failed for good. */
  | { kind: 'observed' };

/** What comes later is no longer known to hold once something before it has changed. */
const IN_ORDER: readonly ConditionType[] = ['Provisioned', 'Deployed', 'Published', 'TornDown', 'Reported'];

/** The status after an event. `now` is RFC 3339. */
export function recordEvent(environment: Environment, event: RunEvent, now: string): EnvironmentStatus {
  const before: EnvironmentStatus = environment.status ?? { phase: 'Pending', conditions: [], steps: [] };
  const after = applyEvent(before, event, environment.metadata.generation, now);
  const conditions = environment.metadata.deletionTimestamp
    ? after.conditions
    : setCondition(after.conditions, summarizeReady(after.conditions, environment.metadata.generation), now);
  const status = { ...after, conditions };
  return { ...status, phase: phaseOf({ metadata: environment.metadata, status }) };
}

function applyEvent(
  status: EnvironmentStatus,
  event: RunEvent,
  observedGeneration: number | undefined,
  now: string,
): EnvironmentStatus {
  const set = (type: ConditionType, change: Pick<Condition, 'status' | 'reason' | 'message'>) =>
    setCondition(status.conditions, { type, ...change, observedGeneration }, now);
  switch (event.kind) {
    case 'started': {
      const steps = status.steps.filter(({ name }) => name !== event.step);
      const message = `Step ${event.step} is running`;
      const conditions = set(event.condition, { status: 'Unknown', reason: PROGRESSING, message });
      return {
        ...status,
        conditions: withoutLater(conditions, event.condition),
        steps: [...steps, { name: event.step, startedAt: now }],
      };
    }
    case 'finished': {
      const steps = status.steps.map((timing) =>
        timing.name === event.step ? { ...timing, durationMs: Math.round(event.durationMs) } : timing,
      );
      return { ...status, ...event.facts, steps };
    }
    case 'holds': {
      const { condition, message } = event;
      const conditions = set(condition, { status: 'True', reason: 'Done', message });
      return { ...status, conditions: withoutLater(conditions, condition) };
    }
    case 'failed': {
      const { terminal, reason, message } = event.failure;
      const conditions = set(event.condition, { status: terminal ? 'False' : 'Unknown', reason, message });
      return { ...status, conditions };
    }
    case 'observed':
      return { ...status, observedGeneration };
  }
}

function withoutLater(conditions: readonly Condition[], type: ConditionType): Condition[] {
  const place = IN_ORDER.indexOf(type);
  return conditions.filter((condition) => place < 0 || IN_ORDER.indexOf(condition.type) <= place);
}
