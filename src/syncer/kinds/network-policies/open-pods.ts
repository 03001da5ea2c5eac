// Which pods no policy inside isolates. The chart's policies let those reach each other and the outside, by labels that the
// syncer keeps: on the host, a policy that lets all pods do so would leave nothing for a tenant's policies to forbid.
import type { TranslationContext } from '../../kind.ts';
import { LABEL_OPEN_EGRESS, LABEL_OPEN_INGRESS } from '../../names.ts';
import type { NetworkPolicySpec, Pod } from '../../objects.ts';
import { matchesSelector } from '../../selectors.ts';

const LABELS = { Ingress: LABEL_OPEN_INGRESS, Egress: LABEL_OPEN_EGRESS };

/** As the API's defaults have it. */
export function policyTypesOf({ policyTypes = [], egress = [] }: NetworkPolicySpec): string[] {
  if (policyTypes.length > 0) return [...policyTypes];
  return egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

export function openLabels({ metadata }: Pod, context: TranslationContext): Record<string, string> {
  if (!context.network.isolated) return {};
  const isolatedBy = context
    .networkPolicies(metadata.namespace ?? '')
    .filter(({ spec }) => matchesSelector(spec?.podSelector ?? {}, metadata.labels ?? {}))
    .flatMap(({ spec }) => (spec ? policyTypesOf(spec) : []));
  return Object.fromEntries(
    Object.entries(LABELS).flatMap(([type, label]) => (isolatedBy.includes(type) ? [] : [[label, 'true']])),
  );
}
