import { describe, expect, it } from 'vitest';
import type { Service, ServiceSpec } from '../objects.ts';
import { isReservation, needOf, patchFor, reservationFor, type ServiceRequest } from './reservation.ts';

const service = (spec: ServiceSpec): Service => ({ metadata: { namespace: 'shop', name: 'web' }, spec });
const creates = (spec: ServiceSpec): ServiceRequest => ({
  uid: 'u-1',
  operation: 'CREATE',
  object: service(spec),
});
const updates = (before: ServiceSpec, after: ServiceSpec): ServiceRequest => ({
  uid: 'u-1',
  operation: 'UPDATE',
  object: service(after),
  oldObject: service(before),
});

describe('a reservation', () => {
  it.each<[string, ServiceRequest, string]>([
    ['a new Service', creates({ type: 'ClusterIP' }), 'reservation'],
    ['a new Service with an address of its own choice', creates({ clusterIP: '10.96.0.9' }), 'reservation'],
    ['a new Service with node ports', creates({ type: 'NodePort' }), 'reservation'],
    ['a new headless Service', creates({ clusterIP: 'None' }), 'nothing'],
    ['a new ExternalName', creates({ type: 'ExternalName', externalName: 'x' }), 'nothing'],
    [
      'an ExternalName that becomes a ClusterIP',
      updates({ type: 'ExternalName', externalName: 'x' }, { type: 'ClusterIP' }),
      'reservation',
    ],
    [
      'an update that keeps the address',
      updates({ clusterIP: '10.96.0.9' }, { clusterIP: '10.96.0.9' }),
      'nothing',
    ],
    ['an update that leaves the address out', updates({ clusterIP: '10.96.0.9' }, {}), 'nothing'],
    ['an update of a headless Service that leaves that out', updates({ clusterIP: 'None' }, {}), 'nothing'],
    [
      'a ClusterIP that becomes an ExternalName',
      updates({ clusterIP: '10.96.0.9' }, { type: 'ExternalName', externalName: 'x' }),
      'nothing',
    ],
    [
      'a Service that becomes dual-stack',
      updates(
        { clusterIP: '10.96.0.9', ipFamilyPolicy: 'SingleStack' },
        { clusterIP: '10.96.0.9', ipFamilyPolicy: 'PreferDualStack' },
      ),
      'second-family',
    ],
    [
      'a Service that is dual-stack already',
      updates(
        { clusterIP: '10.96.0.9', ipFamilyPolicy: 'PreferDualStack' },
        { clusterIP: '10.96.0.9', ipFamilyPolicy: 'RequireDualStack' },
      ),
      'nothing',
    ],
  ])('%s needs: %s', (_, request, need) => expect(needOf(request)).toBe(need));
});

describe('reservationFor', () => {
  const FACTS = {
    cluster: 'vc',
    hostNamespace: 'host-ns',
    owner: { apiVersion: 'v1', kind: 'ConfigMap', name: 'vc-anchor', uid: 'a-1' },
  };
  const reserve = (spec: ServiceSpec) => reservationFor(creates(spec), FACTS, '2026-01-02T03:04:05.000Z');

  it('holds what decides over addresses and ports, and leads nowhere', () => {
    const reservation = reserve({
      type: 'ClusterIP',
      clusterIP: '',
      ipFamilyPolicy: 'SingleStack',
      selector: { app: 'web' },
      externalIPs: ['1.2.3.4'],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
    });
    expect(reservation.spec).toEqual({
      type: 'ClusterIP',
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    });
    expect(reservation.metadata).toMatchObject({
      name: expect.stringMatching(/^vc-reserved-[0-9a-f]{12}$/),
      namespace: 'host-ns',
      labels: { 'mayfly.dev/cluster': 'vc' },
      annotations: { 'mayfly.dev/reserved-at': '2026-01-02T03:04:05.000Z' },
      ownerReferences: [FACTS.owner],
    });
    expect(isReservation(reservation)).toBe(true);
  });

  it('asks for the very address that the user chose', () => {
    expect(reserve({ clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'] }).spec).toMatchObject({
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9'],
    });
  });

  it.each<[ServiceSpec, string, number | undefined]>([
    [{ type: 'NodePort' }, 'NodePort', 30_080],
    [{ type: 'LoadBalancer' }, 'NodePort', 30_080],
    [{ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }, 'ClusterIP', undefined],
    [{ type: 'ClusterIP' }, 'ClusterIP', undefined],
  ])('is for %j a %s', (spec, type, nodePort) => {
    const reserved = reserve({ ...spec, ports: [{ port: 80, nodePort: 30_080 }] }).spec;
    expect(reserved?.type).toBe(type);
    expect(reserved?.ports?.[0]?.nodePort).toBe(nodePort);
  });

  it('has one name per request', () => {
    const other = reservationFor({ ...creates({}), uid: 'u-2' }, FACTS, '');
    expect(reserve({}).metadata.name).toBe(reserve({}).metadata.name);
    expect(other.metadata.name).not.toBe(reserve({}).metadata.name);
  });

  it('ends when it is adopted', () => {
    const { metadata } = reserve({});
    const annotations = { ...metadata.annotations, 'mayfly.dev/virtual-uid': 'u' };
    expect(isReservation({ metadata: { ...metadata, annotations } })).toBe(false);
    expect(isReservation({ metadata: {} })).toBe(false);
  });
});

describe('patchFor', () => {
  it('tells addresses, families and node ports, each port by its number and protocol', () => {
    const request = creates({
      type: 'NodePort',
      ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }, { port: 9 }],
    });
    const host = service({
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9', 'fd00::9'],
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'PreferDualStack',
      ports: [
        { port: 53, protocol: 'TCP', nodePort: 30_001 },
        { port: 53, protocol: 'UDP', nodePort: 30_002 },
      ],
    });
    expect(patchFor(request, host)).toEqual([
      { op: 'add', path: '/spec/clusterIP', value: '10.96.0.9' },
      { op: 'add', path: '/spec/clusterIPs', value: ['10.96.0.9', 'fd00::9'] },
      { op: 'add', path: '/spec/ipFamilies', value: ['IPv4', 'IPv6'] },
      { op: 'add', path: '/spec/ipFamilyPolicy', value: 'PreferDualStack' },
      { op: 'add', path: '/spec/ports/0/nodePort', value: 30_002 },
      { op: 'add', path: '/spec/ports/1/nodePort', value: 30_001 },
    ]);
  });
});
