// Conditions of an Environment: setting one, reading one, and the summary that `Ready` is of the others.
import type { Condition, ConditionType } from './resource.ts';

export type ConditionChange = Omit<Condition, 'lastTransitionTime'>;

/** Still at work on it; the reason of every `Ready` that is neither True nor False. */
export const PROGRESSING = 'Progressing';

/** The conditions that must hold before an environment is ready, in the order in which they come about. */
const STAGES: readonly ConditionType[] = ['Provisioned', 'Deployed', 'Published'];

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isConditionTrue(conditions: readonly Condition[] | undefined, type: ConditionType): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/**
 * The conditions with one set; the others stay as and where they are. The time of transition changes only when the status
 * does (the API convention for conditions). `now` is RFC 3339.
 */
export function setCondition(
  conditions: readonly Condition[],
  change: ConditionChange,
  now: string,
): Condition[] {
  const previous = findCondition(conditions, change.type);
  const lastTransitionTime = previous?.status === change.status ? previous.lastTransitionTime : now;
  const next: Condition = { ...change, lastTransitionTime };
  return previous
    ? conditions.map((condition) => (condition === previous ? next : condition))
    : [...conditions, next];
}

/**
 * What `Ready` must say: False with the reason of the first stage that failed, True when every stage is, and Unknown with
 * the message of the stage under way otherwise.
 */
export function summarizeReady(
  conditions: readonly Condition[],
  observedGeneration?: number,
): ConditionChange {
  const stages = STAGES.map((type) => findCondition(conditions, type));
  const failed = stages.find((stage) => stage?.status === 'False');
  if (failed) {
    const { reason, message } = failed;
    return { type: 'Ready', status: 'False', reason, message, observedGeneration };
  }
  const underWay = stages.findIndex((stage) => stage?.status !== 'True');
  if (underWay < 0)
    return { type: 'Ready', status: 'True', reason: 'Ready', message: 'Ready', observedGeneration };
  const message = stages[underWay]?.message ?? `Not yet ${STAGES[underWay]?.toLowerCase()}`;
  return { type: 'Ready', status: 'Unknown', reason: PROGRESSING, message, observedGeneration };
}
