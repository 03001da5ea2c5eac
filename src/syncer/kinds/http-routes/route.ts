// HTTPRoute of the Gateway API (v1, standard channel), which the generated client does not know: what of it may reach the host.
import type { KubeObject } from '../../../kube/resource.ts';
import { fields, list, scalar } from '../../allow-list.ts';

export interface ParentRef {
  group?: string;
  kind?: string;
  namespace?: string;
  name: string;
  sectionName?: string;
  port?: number;
}

export interface BackendRef {
  group?: string;
  kind?: string;
  namespace?: string;
  name: string;
  port?: number;
  weight?: number;
  filters?: RouteFilter[];
}

interface Header {
  name: string;
  value: string;
}
interface HeaderModifier {
  set?: Header[];
  add?: Header[];
  remove?: string[];
}
interface PathModifier {
  type: string;
  replaceFullPath?: string;
  replacePrefixMatch?: string;
}
interface ValueMatch extends Header {
  type?: string;
}

export interface RouteFilter {
  type: string;
  requestHeaderModifier?: HeaderModifier;
  responseHeaderModifier?: HeaderModifier;
  requestRedirect?: {
    scheme?: string;
    hostname?: string;
    path?: PathModifier;
    port?: number;
    statusCode?: number;
  };
  urlRewrite?: { hostname?: string; path?: PathModifier };
  requestMirror?: { backendRef: BackendRef };
}

interface RouteMatch {
  path?: { type?: string; value?: string };
  headers?: ValueMatch[];
  queryParams?: ValueMatch[];
  method?: string;
}

export interface RouteRule {
  name?: string;
  matches?: RouteMatch[];
  filters?: RouteFilter[];
  backendRefs?: BackendRef[];
  timeouts?: { request?: string; backendRequest?: string };
}

export interface RouteCondition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}

export interface RouteParentStatus {
  parentRef: ParentRef;
  controllerName: string;
  conditions?: RouteCondition[];
}

export interface HttpRoute extends KubeObject {
  spec?: { parentRefs?: ParentRef[]; hostnames?: string[]; rules?: RouteRule[] };
  status?: { parents: RouteParentStatus[] };
}

const headers = fields<HeaderModifier>({
  set: list(fields<Header>({ name: scalar, value: scalar })),
  add: list(fields<Header>({ name: scalar, value: scalar })),
  remove: list(scalar),
});
const path = fields<PathModifier>({ type: scalar, replaceFullPath: scalar, replacePrefixMatch: scalar });
const valueMatch = fields<ValueMatch>({ type: scalar, name: scalar, value: scalar });

/** What refers to nothing; mirrors are put in by the kind. */
export const plainFilter = fields<RouteFilter>({
  type: scalar,
  requestHeaderModifier: headers,
  responseHeaderModifier: headers,
  requestRedirect: fields<NonNullable<RouteFilter['requestRedirect']>>({
    scheme: scalar,
    hostname: scalar,
    path,
    port: scalar,
    statusCode: scalar,
  }),
  urlRewrite: fields<NonNullable<RouteFilter['urlRewrite']>>({ hostname: scalar, path }),
});

/** Filters and backends are put in by the kind. */
export const plainRule = fields<RouteRule>({
  name: scalar,
  matches: list(
    fields<RouteMatch>({
      path: fields<NonNullable<RouteMatch['path']>>({ type: scalar, value: scalar }),
      headers: list(valueMatch),
      queryParams: list(valueMatch),
      method: scalar,
    }),
  ),
  timeouts: fields<NonNullable<RouteRule['timeouts']>>({ request: scalar, backendRequest: scalar }),
});

export const plainBackend = fields<BackendRef>({
  group: scalar,
  kind: scalar,
  port: scalar,
  weight: scalar,
  name: scalar,
});

export const condition = fields<RouteCondition>({
  type: scalar,
  status: scalar,
  reason: scalar,
  message: scalar,
  lastTransitionTime: scalar,
});
