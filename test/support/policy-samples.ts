// Samples of the kinds that say who is reached by whom, and what may be taken away: every field a tenant can write.
import type { HttpRoute } from '../../src/syncer/kinds/http-routes/route.ts';
import type { Ingress, NetworkPolicy, PodDisruptionBudget } from '../../src/syncer/objects.ts';

export function fullNetworkPolicy(metadata: NetworkPolicy['metadata']): NetworkPolicy {
  return {
    metadata,
    spec: {
      podSelector: { matchLabels: { app: 'web' } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: { app: 'front' } } }],
          ports: [{ protocol: 'TCP', port: 'http' }],
        },
        {},
      ],
      egress: [
        {
          to: [
            { namespaceSelector: {}, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } },
            { ipBlock: { cidr: '203.0.113.0/24', except: ['203.0.113.7/32'] } },
          ],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 8000, endPort: 9000 },
          ],
        },
      ],
    },
  };
}

export function fullDisruptionBudget(metadata: PodDisruptionBudget['metadata']): PodDisruptionBudget {
  return {
    metadata: { ...metadata, generation: 2 },
    spec: {
      maxUnavailable: '50%',
      selector: { matchLabels: { app: 'web' } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
    status: {
      observedGeneration: 2,
      desiredHealthy: 3,
      currentHealthy: 5,
      expectedPods: 6,
      disruptionsAllowed: 2,
      disruptedPods: { 'web-1': '2026-01-01T00:00:00Z' },
    },
  };
}

export function fullIngress(metadata: Ingress['metadata']): Ingress {
  return {
    metadata,
    spec: {
      defaultBackend: { service: { name: 'web', port: { number: 80 } } },
      rules: [
        {
          host: 'shop.example.com',
          http: {
            paths: [
              {
                path: '/api',
                pathType: 'Prefix',
                backend: { service: { name: 'api', port: { name: 'http' } } },
              },
            ],
          },
        },
      ],
      tls: [{ hosts: ['shop.example.com'], secretName: 'shop-tls' }],
    },
    status: { loadBalancer: {} },
  };
}

export function fullHttpRoute(metadata: HttpRoute['metadata']): HttpRoute {
  const redirect = { scheme: 'https', path: { type: 'ReplaceFullPath', replaceFullPath: '/new' } };
  return {
    metadata: { ...metadata, generation: 3 },
    spec: {
      parentRefs: [{ namespace: 'infra', name: 'public', sectionName: 'https' }, { name: 'inner' }],
      hostnames: ['shop.example.com'],
      rules: [
        {
          matches: [
            {
              path: { type: 'PathPrefix', value: '/' },
              headers: [{ type: 'Exact', name: 'x', value: 'y' }],
              method: 'GET',
            },
          ],
          filters: [
            { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: 'b' }] } },
            { type: 'RequestMirror', requestMirror: { backendRef: { name: 'shadow', port: 80 } } },
          ],
          backendRefs: [{ group: '', kind: 'Service', name: 'web', port: 80, weight: 1 }],
          timeouts: { request: '10s' },
        },
        { filters: [{ type: 'RequestRedirect', requestRedirect: redirect }] },
      ],
    },
  };
}
