// Environment variables that name Services, as a kubelet makes them (pkg/kubelet/envvars): the host's kubelet would list
// the host's Services, so its own are switched off and these are written out.
import type { EnvVar, Service } from '../../objects.ts';

const variableName = (name: string) => name.replaceAll('-', '_').toUpperCase();

/** Variables for all Services that have a cluster IP, ordered by name; a name is listed once. */
export function serviceLinks(services: readonly Service[]): EnvVar[] {
  const byName = new Map(services.map((service) => [service.metadata.name ?? '', service]));
  return [...byName.keys()].sort().flatMap((name) => linksOf(name, byName.get(name)));
}

function linksOf(name: string, service: Service | undefined): EnvVar[] {
  const { clusterIP = '', ports = [] } = service?.spec ?? {};
  const [first] = ports;
  if (clusterIP === '' || clusterIP === 'None' || !first) return [];
  const prefix = variableName(name);
  const links: EnvVar[] = [
    { name: `${prefix}_SERVICE_HOST`, value: clusterIP },
    { name: `${prefix}_SERVICE_PORT`, value: `${first.port}` },
    ...ports.flatMap((port) =>
      port.name ? [{ name: `${prefix}_SERVICE_PORT_${variableName(port.name)}`, value: `${port.port}` }] : [],
    ),
  ];
  const address = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP;
  for (const { port, protocol = 'TCP' } of ports) {
    const url = `${protocol.toLowerCase()}://${address}:${port}`;
    if (port === first.port && protocol === (first.protocol ?? 'TCP'))
      links.push({ name: `${prefix}_PORT`, value: url });
    const ofPort = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    links.push(
      { name: ofPort, value: url },
      { name: `${ofPort}_PROTO`, value: protocol.toLowerCase() },
      { name: `${ofPort}_PORT`, value: `${port}` },
      { name: `${ofPort}_ADDR`, value: clusterIP },
    );
  }
  return links;
}
