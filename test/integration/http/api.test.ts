// The API from outside: what each route answers, to whom, and in which form.
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environment as environmentSchema } from '../../../src/api/environment.ts';
import { problem } from '../../../src/api/problem.ts';
import { ENVIRONMENTS } from '../../../src/environments/resource.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { NAMESPACE, startService, type TestService, type TokenName } from './service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

function problemIn({ body }: { body: string }) {
  return problem.parse(JSON.parse(body));
}

describe('environments', () => {
  test('are created, read, listed and deleted by their owner', async () => {
    const wanted = { name: 'life', app: { image: 'nginx:1', port: 80 }, ttlSeconds: 600 };
    const created = await service.api('alice', 'POST', '/v1/environments', wanted);
    expect(created).toMatchObject({ status: 201, headers: { location: '/v1/environments/life' } });
    const view = environmentSchema.parse(JSON.parse(created.body));
    expect(view).toMatchObject({ name: 'life', owner: 'token:alice', phase: 'Pending', app: wanted.app });
    expect(Date.parse(view.expiresAt) - Date.now()).toBeLessThanOrEqual(600_000);

    expect((await service.api('alice', 'POST', '/v1/environments', wanted)).status).toBe(200);
    const read = await service.api('alice', 'GET', '/v1/environments/life');
    expect(JSON.parse(read.body)).toMatchObject({ name: 'life' });
    const listed = await service.api('alice', 'GET', '/v1/environments');
    expect(JSON.parse(listed.body).items).toHaveLength(1);
    expect((await service.api('alice', 'DELETE', '/v1/environments/life')).status).toBe(202);
    const ending = await service.api('alice', 'GET', '/v1/environments/life');
    expect(JSON.parse(ending.body)).toMatchObject({ phase: 'Terminating' });
    service.host.remove(ENVIRONMENTS, `${NAMESPACE}/life`);
    expect((await service.api('alice', 'GET', '/v1/environments/life')).status).toBe(404);
  });

  test('have no kubeconfig before they are provisioned, and it is said why', async () => {
    await service.environment('early');
    const answer = await service.api('alice', 'GET', '/v1/environments/early/kubeconfig');
    expect(answer.status).toBe(409);
    expect(problemIn(answer)).toMatchObject({
      code: 'NotProvisioned',
      detail: expect.stringContaining('early'),
    });
  });
});

describe('a request is refused', () => {
  test.each<[string, TokenName | undefined, string, string, unknown, number, string]>([
    ['without a token', undefined, 'GET', '/v1/environments', undefined, 401, 'TokenMissing'],
    ['with a name that is none', 'alice', 'POST', '/v1/environments', { name: 'No' }, 400, 'InvalidRequest'],
    [
      'with a field that nobody knows',
      'alice',
      'POST',
      '/v1/environments',
      { nam: 'x' },
      400,
      'InvalidRequest',
    ],
    ['with no object as body', 'alice', 'POST', '/v1/environments', [], 400, 'InvalidRequest'],
    ['for too long a life', 'alice', 'POST', '/v1/environments', { ttlSeconds: 1e6 }, 400, 'TtlTooLong'],
    [
      'for another Kubernetes',
      'alice',
      'POST',
      '/v1/environments',
      { kubernetesVersion: '1.20' },
      400,
      'UnknownKubernetesVersion',
    ],
    [
      'with too much',
      'alice',
      'POST',
      '/v1/environments',
      { name: 'x'.repeat(100_000) },
      413,
      'BodyTooLarge',
    ],
    [
      'for what is not there',
      'alice',
      'GET',
      '/v1/environments/absent',
      undefined,
      404,
      'EnvironmentNotFound',
    ],
    ['for an odd name', 'alice', 'GET', '/v1/environments/%2e%2e', undefined, 400, 'InvalidRequest'],
    ['for no route', 'alice', 'GET', '/v2', undefined, 404, 'NoSuchRoute'],
  ])('%s', async (_, token, method, path, body, status, code) => {
    const answer = await service.api(token, method, path, body);
    expect(answer).toMatchObject({
      status,
      headers: { 'content-type': expect.stringContaining('problem+json') },
    });
    expect(problemIn(answer)).toMatchObject({ status, code, requestId: answer.headers['x-request-id'] });
  });

  test('with a token that nobody has', async () => {
    const answer = await service.call('/v1/environments', {
      headers: { authorization: 'Bearer alice-tokem' },
    });
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded'])('with a body of type %s', async (type) => {
    const headers = { authorization: 'Bearer alice-token', 'content-type': type };
    const answer = await service.call('/v1/environments', {
      method: 'POST',
      headers,
      body: '{"name":"form"}',
    });
    expect(problemIn(answer)).toMatchObject({ status: 415, code: 'UnsupportedMediaType' });
  });

  test('while the host is away, without a word about the host', async () => {
    service.host.intercept = () => {
      throw new KubeError({ status: 500, reason: 'InternalError', message: 'etcd at 10.1.2.3 is gone' });
    };
    const answer = await service.api('alice', 'GET', '/v1/environments').finally(() => {
      service.host.intercept = undefined;
    });
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    expect(answer.body).not.toContain('10.1.2.3');
  });
});

describe('the description of the API', () => {
  test('is a valid OpenAPI 3.1 document', async () => {
    const { body } = await service.call('/openapi.json');
    const result = await new Validator().validate(JSON.parse(body));
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
  });

  test('T27: names every route of one environment, and none of them lets a stranger in', async () => {
    await service.environment('hers', { host: { namespace: 'mayfly-hers-x' } });
    const before = service.host.get(ENVIRONMENTS, `${NAMESPACE}/hers`);
    const { paths } = JSON.parse((await service.call('/openapi.json')).body);
    const operations = Object.entries<object>(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
    );
    const named = operations.filter(({ path }) => path.includes('{name}'));
    expect(named.length).toBeGreaterThanOrEqual(4);
    for (const { path, method } of named) {
      const stranger = await service.api('bob', method, path.replace('{name}', 'hers'));
      const nobody = await service.api('bob', method, path.replace('{name}', 'none'));
      expect(stranger.status, `${method} ${path}`).toBe(404);
      expect(problemIn(stranger).detail.replace('hers', 'none')).toBe(problemIn(nobody).detail);
      expect((await service.api(undefined, method, path.replace('{name}', 'hers'))).status).toBe(401);
    }
    const list = await service.api('bob', 'GET', '/v1/environments');
    expect(list.body).not.toContain('hers');
    expect(service.host.get(ENVIRONMENTS, `${NAMESPACE}/hers`)).toEqual(before);
    expect((await service.api('root', 'GET', '/v1/environments/hers')).status).toBe(200);
  });
});

describe('an answer', () => {
  test('may not be kept, sniffed or embedded', async () => {
    const { headers } = await service.api('alice', 'GET', '/v1/environments');
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    expect(headers['x-powered-by']).toBeUndefined();
  });

  test('carries the id of a request that has one, and another when it is not fit for a log', async () => {
    const given = await service.call('/healthz', { headers: { 'x-request-id': 'from-a-proxy-1' } });
    expect(given.headers['x-request-id']).toBe('from-a-proxy-1');
    const unfit = await service.call('/healthz', { headers: { 'x-request-id': '"}{evil' } });
    expect(unfit.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('probes', () => {
  test('say that the process lives and can work, and measure it', async () => {
    expect((await service.call('/healthz')).status).toBe(200);
    expect(JSON.parse((await service.call('/readyz')).body)).toEqual({
      status: 'ok',
      checks: { environments: 'ok', redis: 'ok' },
    });
    const { body } = await service.call('/metrics');
    expect(body).toMatch(
      /mayfly_http_request_duration_seconds_count\{route="\/readyz",method="GET",status="200"\} 1/,
    );
  });
});
