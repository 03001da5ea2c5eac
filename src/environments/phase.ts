// The one word for where an environment stands, derived from its conditions and never decided on: for people and lists.
import { findCondition, isConditionTrue } from './conditions.ts';
import type { Environment, EnvironmentPhase } from './resource.ts';

/**
 * Pending → Provisioning → Deploying → Ready, with Failed instead of any of the last three and Terminating after all. A new
 * commit takes Ready and Failed back to Deploying, because its run sets `Deployed` to Unknown.
 */
export function phaseOf({ metadata, status }: Pick<Environment, 'metadata' | 'status'>): EnvironmentPhase {
  if (metadata.deletionTimestamp) return 'Terminating';
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'True') return 'Ready';
  if (ready?.status === 'False') return 'Failed';
  if (isConditionTrue(status?.conditions, 'Provisioned')) return 'Deploying';
  return status?.conditions.length ? 'Provisioning' : 'Pending';
}
