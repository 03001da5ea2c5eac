// HTTPRoutes of the Gateway API between two real API servers that both have the kind; the test plays the host's controller.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  HTTP_ROUTES,
  type KubeObject,
  SERVICES,
} from '../../../src/kube/resource.ts';
import type { HttpRoute } from '../../../src/syncer/kinds/http-routes/route.ts';
import type { Service } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { call, type SyncedCluster, startSyncedCluster, within } from '../../support/synced-cluster.ts';

/** Only what the API needs to store routes; what may be in them is upstream's to say. */
const DEFINITION = {
  metadata: {
    name: 'httproutes.gateway.networking.k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
  },
  spec: {
    group: HTTP_ROUTES.group,
    scope: 'Namespaced',
    names: { plural: HTTP_ROUTES.plural, singular: 'httproute', kind: HTTP_ROUTES.kind },
    versions: [
      {
        name: HTTP_ROUTES.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
} as KubeObject;
const shop = { namespace: 'default', name: 'shop' };
const gateway = { namespace: 'infra', name: 'public' };

let administrator: ClusterAccess;
let cluster: SyncedCluster;
beforeAll(async () => {
  administrator = await clusterAccess();
  await administrator.client.create(CUSTOM_RESOURCE_DEFINITIONS, DEFINITION, call());
  cluster = await startSyncedCluster('gateway', { 'sync.httpRoutes.gateways': '{infra/public}' });
  await cluster.inside.client.create(CUSTOM_RESOURCE_DEFINITIONS, DEFINITION, call());
});
afterAll(async () => {
  await cluster?.remove();
  const { name = '' } = DEFINITION.metadata;
  await administrator?.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name }, call());
  await administrator?.client.close();
});

describe('an HTTPRoute', () => {
  it('hangs on the host’s Gateway, and shows what the controller there says of it', async () => {
    await cluster.inside.client.create<Service>(
      SERVICES,
      { metadata: { ...shop, name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } },
      call(),
    );
    const route: HttpRoute = {
      metadata: shop,
      spec: {
        parentRefs: [gateway, { name: 'inner' }],
        hostnames: ['shop.example.com'],
        rules: [{ backendRefs: [{ name: 'web', port: 80 }] }],
      },
    };
    await eventually(
      () => cluster.inside.client.create<HttpRoute>(HTTP_ROUTES, route, call()),
      within('the API inside serves routes'),
    );
    const service = await cluster.copied<Service>(SERVICES, 'web');
    const copy = await cluster.copied<HttpRoute>(
      HTTP_ROUTES,
      'shop',
      ({ spec }) => spec?.rules?.[0]?.backendRefs?.[0]?.name === service.metadata.name,
    );
    expect(copy.spec?.parentRefs).toEqual([gateway]);
    const accepted = {
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: `${service.metadata.name} is served`,
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: copy.metadata.generation,
    };
    const parents = [{ parentRef: gateway, controllerName: 'example.com/test', conditions: [accepted] }];
    const withStatus: HttpRoute = { ...copy, status: { parents } };
    await cluster.host.client.update(HTTP_ROUTES, withStatus, { subresource: 'status', ...call() });
    const told = await eventually(async () => {
      const found = await cluster.find<HttpRoute>(HTTP_ROUTES, shop);
      return found?.status?.parents[0];
    }, within('the status is shown inside'));
    expect(told).toMatchObject({
      parentRef: gateway,
      conditions: [{ type: 'Accepted', message: 'web is served' }],
    });
  });

  it('goes on the host when it goes inside', async () => {
    await cluster.inside.client.delete(HTTP_ROUTES, shop, call());
    await cluster.goneOnHost(HTTP_ROUTES, 'shop');
  });
});
