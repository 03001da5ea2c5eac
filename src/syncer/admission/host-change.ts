// What an update of a virtual Service changes on its host Service before it may pass, because it is the host's to give: a second
// address, node ports. Pure.
import { clusterIpsOf, copyPort, samePort } from '../kinds/services/kind.ts';
import type { Service, ServicePort, ServiceSpec } from '../objects.ts';
import { hasNodePorts, needOf, type ServiceRequest } from './reservation.ts';

/**
 * What changes in the spec of the host Service; undefined: nothing. It does not become a LoadBalancer here, which would call a cloud
 * for a request that may yet be refused.
 * @param host absent: it is not on the host yet.
 */
export function hostChangeFor(request: ServiceRequest, host: Service | undefined): ServiceSpec | undefined {
  const change = {
    ...(needOf(request) === 'second-family' && secondFamily(request.object)),
    ...newNodePorts(request, host),
  };
  return Object.keys(change).length > 0 ? change : undefined;
}

function secondFamily({ spec = {} }: Service): ServiceSpec {
  const { ipFamilyPolicy, ipFamilies = [], clusterIPs = [] } = spec;
  return {
    ipFamilyPolicy,
    ...(ipFamilies.length > 1 && { ipFamilies }),
    ...(clusterIPs.length > 1 && { clusterIPs }),
  };
}

function newNodePorts(
  { object: { spec = {} }, oldObject }: ServiceRequest,
  host: Service | undefined,
): ServiceSpec {
  if (!oldObject || clusterIpsOf(oldObject).length === 0 || !hasNodePorts(spec)) return {};
  const before = hasNodePorts(oldObject.spec ?? {}) ? (oldObject.spec?.ports ?? []) : [];
  const ports = withKeptNodePorts(spec.ports ?? [], before);
  const isKept = ({ nodePort }: ServicePort) => before.some((port) => port.nodePort === nodePort);
  const isGiven = (port: ServicePort) => samePort(host?.spec?.ports, port)?.nodePort === port.nodePort;
  if (ports.every((port) => port.nodePort && (isKept(port) || isGiven(port)))) return {};
  return {
    ...(host?.spec?.type === 'LoadBalancer'
      ? { allocateLoadBalancerNodePorts: true }
      : { type: 'NodePort' as const }),
    ports: ports.map((port) => copyPort(port) ?? port),
  };
}

/** As the API server does after admission: a port that says none keeps that of its name, unless another port has taken it. */
function withKeptNodePorts(ports: readonly ServicePort[], before: readonly ServicePort[]): ServicePort[] {
  return ports.map((port) => {
    if (port.nodePort) return port;
    const kept = before.find(({ name }) => name === port.name)?.nodePort;
    return kept && !ports.some(({ nodePort }) => nodePort === kept) ? { ...port, nodePort: kept } : port;
  });
}
