// Why a Service answers nobody.
import { type ClusterObjects, isSelected, nameOf, type Problem, type Service } from './objects.ts';
import { podProblem } from './pods.ts';

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

function hasReadyEndpoints(
  service: Service,
  { endpointSlices }: Pick<ClusterObjects, 'endpointSlices'>,
): boolean {
  return endpointSlices.some(
    ({ metadata, endpoints }) =>
      metadata.labels?.[SERVICE_NAME_LABEL] === service.metadata.name &&
      metadata.namespace === service.metadata.namespace &&
      // An unset condition means ready (the API's documentation of EndpointConditions).
      (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false),
  );
}

export interface ServiceProblem extends Problem {
  /** What is wrong with one of its pods. */
  cause?: Problem;
}

/** Nothing when the Service has a ready endpoint, or needs none (no selector: somebody else keeps its endpoints). */
export function serviceProblem(service: Service, objects: ClusterObjects): ServiceProblem | undefined {
  const needsEndpoints = Object.keys(service.spec?.selector ?? {}).length > 0;
  if (!needsEndpoints || hasReadyEndpoints(service, objects)) return undefined;
  const name = `Service \`${nameOf(service)}\``;
  const selected = objects.pods.filter((pod) => isSelected(pod, service));
  if (selected.length === 0) {
    return { reason: 'SelectsNoPod', message: `${name} selects no pod`, final: false };
  }
  const causes = selected.map((pod) => podProblem(pod, objects)).filter((problem) => problem !== undefined);
  const cause = causes.find(({ final }) => final) ?? causes[0];
  return {
    reason: 'NoReadyEndpoints',
    message: `${name} has no ready endpoints${cause ? ` because ${cause.message}` : ''}`,
    final: cause?.final ?? false,
    cause,
  };
}
