// GET /v1/environments/:name/kubeconfig
import { stringify } from 'yaml';
import * as z from 'zod';
import type { ClusterAccess } from '../../environments/cluster-access.ts';
import type { EnvironmentService } from '../../environments/service.ts';
import { defineRoute } from '../define-route.ts';
import { namedEnvironment } from './named-environment.ts';

export interface KubeconfigDeps {
  environments: Pick<EnvironmentService, 'get'>;
  clusterAccess: Pick<ClusterAccess, 'issueUserToken'>;
  publicUrl: string;
  /** Who signed the certificate of `publicUrl`, PEM. Absent: everybody trusts it, or it has none. */
  publicCa?: string;
}

export function getKubeconfigRoute({ environments, clusterAccess, publicUrl, publicCa }: KubeconfigDeps) {
  return defineRoute({
    method: 'get',
    path: '/v1/environments/:name/kubeconfig',
    summary: 'A kubeconfig with a token of its own, for an administrator of the virtual cluster',
    auth: 'token',
    request: { params: namedEnvironment },
    responses: {
      200: {
        description: 'The token ends no later than the environment',
        schema: z.string(),
        mediaType: 'application/yaml',
      },
    },
    problems: [400, 404, 409],
    async handle({ params, principal, signal }) {
      const environment = await environments.get(principal, params.name, signal);
      const { token } = await clusterAccess.issueUserToken(environment, signal);
      const server = `${publicUrl}/v1/environments/${params.name}/cluster`;
      return { status: 200, body: kubeconfig({ name: params.name, server, ca: publicCa, token }) };
    },
  });
}

interface KubeconfigContent {
  name: string;
  server: string;
  ca?: string;
  token: string;
}

function kubeconfig({ name, server, ca, token }: KubeconfigContent): string {
  const context = `mayfly-${name}`;
  const authority = ca && { 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: context, cluster: { server, ...authority } }],
    users: [{ name: context, user: { token } }],
    contexts: [{ name: context, context: { cluster: context, user: context } }],
    'current-context': context,
  });
}
