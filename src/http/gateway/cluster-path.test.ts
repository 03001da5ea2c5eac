import { expect, test } from 'vitest';
import { clusterPath } from './cluster-path.ts';

const BASE = '/v1/environments/shop-412/cluster';

test.each([
  [`${BASE}`, '/'],
  [`${BASE}/`, '/'],
  [`${BASE}?timeout=32s`, '/?timeout=32s'],
  [
    `${BASE}/api/v1/pods?watch=true&labelSelector=app%3Dweb%2Ctier%21%3Ddb`,
    '/api/v1/pods?watch=true&labelSelector=app%3Dweb%2Ctier%21%3Ddb',
  ],
  [
    `${BASE}/api/v1/namespaces/default/services/https:web:80/proxy/`,
    '/api/v1/namespaces/default/services/https:web:80/proxy/',
  ],
  [
    `${BASE}/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode`,
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode',
  ],
])('%s asks the API server for %s', (target, expected) => {
  expect(clusterPath(target)).toEqual({ kind: 'cluster', name: 'shop-412', target: expected });
});

test.each([
  `${BASE}/..`,
  `${BASE}/../../b/cluster/api`,
  `${BASE}/./api`,
  `${BASE}/%2e%2e/api`,
  `${BASE}/%2E./api`,
  `${BASE}/api%2fv1`,
  `${BASE}/api%2Fv1`,
  `${BASE}/api%5cv1`,
  `${BASE}/api%252e%252e`,
  `${BASE}/api%00`,
  `${BASE}/api%0d%0aX-Evil:1`,
  `${BASE}//api`,
  `${BASE}/api//v1`,
  `${BASE}/api;v=1`,
  `${BASE}/api\\v1`,
  `${BASE}/api#v1`,
  `${BASE}/%zz`,
  '/v1/environments/../cluster/api',
  '/v1/environments/%61/cluster/api',
  '/v1/environments/UPPER/cluster/api',
  '/v1/environments/a;b/cluster/api',
])('T11: %s is refused', (target) => {
  expect(clusterPath(target)).toEqual({ kind: 'refused' });
});

test.each([
  '/',
  '/v1/environments',
  '/v1/environments/shop-412',
  '/v1/environments/shop-412/clusters/api',
  '/v1/environments//cluster/api',
  'http://elsewhere/v1/environments/shop-412/cluster/api',
  '//v1/environments/shop-412/cluster',
])('%s is not for a cluster', (target) => {
  expect(clusterPath(target)).toEqual({ kind: 'none' });
});
