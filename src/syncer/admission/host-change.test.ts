import { describe, expect, it } from 'vitest';
import type { Service, ServicePort, ServiceSpec } from '../objects.ts';
import { hostChangeFor } from './host-change.ts';

const CLUSTER_IP = '10.96.0.9';
const service = (spec: ServiceSpec): Service => ({
  metadata: { namespace: 'shop', name: 'web' },
  spec: { clusterIP: CLUSTER_IP, ...spec },
});
const change = (before: ServiceSpec, after: ServiceSpec, host: ServiceSpec | undefined = before) =>
  hostChangeFor(
    { uid: 'u-1', operation: 'UPDATE', object: service(after), oldObject: service(before) },
    host && service(host),
  );
const http = (fields: Partial<ServicePort> = {}): ServicePort => ({ name: 'http', port: 80, ...fields });
const https: ServicePort = { name: 'https', port: 443 };
const given = http({ nodePort: 30_080 });

describe('an update of a Service', () => {
  it.each<[string, ServiceSpec, ServiceSpec, (ServiceSpec | undefined)?]>([
    ['stays without ports on nodes', { ports: [http()] }, { ports: [http({ port: 81 })] }],
    ['closes them', { type: 'NodePort', ports: [given] }, { type: 'ClusterIP', ports: [http()] }],
    ['keeps them', { type: 'NodePort', ports: [given] }, { type: 'NodePort', ports: [given] }],
    ['leaves them out', { type: 'NodePort', ports: [given] }, { type: 'NodePort', ports: [http()] }],
    [
      'makes it a load balancer',
      { type: 'NodePort', ports: [given] },
      { type: 'LoadBalancer', ports: [given] },
    ],
    [
      'makes it a load balancer without them',
      { ports: [http()] },
      { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [http()] },
    ],
    [
      'is the syncer’s, which tells those of the host',
      { type: 'NodePort', ports: [given] },
      { type: 'NodePort', ports: [http({ nodePort: 30_081 })] },
      { type: 'NodePort', ports: [http({ nodePort: 30_081 })] },
    ],
  ])('that %s changes nothing on the host beforehand', (_, before, after, host) =>
    expect(change(before, after, host)).toBeUndefined(),
  );

  it.each<[string, ServiceSpec, ServiceSpec, ServiceSpec]>([
    [
      'opens ports on nodes',
      { ports: [http({ targetPort: 8080 })] },
      { type: 'NodePort', ports: [http({ targetPort: 8080 })] },
      { type: 'NodePort', ports: [http({ targetPort: 8080 })] },
    ],
    [
      'makes it a load balancer calls no cloud yet',
      { ports: [http()] },
      { type: 'LoadBalancer', ports: [http()] },
      { type: 'NodePort', ports: [http()] },
    ],
    [
      'adds a port keeps the others',
      { type: 'NodePort', ports: [given] },
      { type: 'NodePort', ports: [http(), https] },
      { type: 'NodePort', ports: [given, https] },
    ],
    [
      'asks for another port has that',
      { type: 'NodePort', ports: [given] },
      { type: 'NodePort', ports: [http({ nodePort: 30_081 })] },
      { type: 'NodePort', ports: [http({ nodePort: 30_081 })] },
    ],
    [
      'gives a port to another name does not give it twice',
      { type: 'NodePort', ports: [given] },
      { type: 'NodePort', ports: [http(), { ...https, nodePort: 30_080 }] },
      { type: 'NodePort', ports: [http(), { ...https, nodePort: 30_080 }] },
    ],
    [
      'adds a port to a load balancer leaves it one',
      { type: 'LoadBalancer', ports: [given] },
      { type: 'LoadBalancer', ports: [given, https] },
      { allocateLoadBalancerNodePorts: true, ports: [given, https] },
    ],
  ])('that %s', (_, before, after, expected) => expect(change(before, after)).toEqual(expected));

  it('asks for a second address and for ports at once', () => {
    const after: ServiceSpec = { type: 'NodePort', ipFamilyPolicy: 'PreferDualStack', ports: [http()] };
    expect(change({ ports: [http()] }, after)).toEqual(after);
  });

  it('needs ports also while its Service is not on the host', () => {
    const request = { type: 'NodePort' as const, ports: [http()] };
    expect(
      hostChangeFor(
        { uid: 'u', operation: 'UPDATE', object: service(request), oldObject: service({ ports: [http()] }) },
        undefined,
      ),
    ).toBeDefined();
  });
});
