import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../../test/support/manual-clock.ts';
import { createMemoryKube } from '../../../test/support/memory-kube.ts';
import { createAuthority, createLeaf, type PemPair } from '../../certificates/issue.ts';
import { ADMISSION_HOST } from '../../certificates/plan.ts';
import { KubeError } from '../../kube/errors.ts';
import { type KubeObject, type ResourceType, SERVICES } from '../../kube/resource.ts';
import { createStore, type Store } from '../../kube/store.ts';
import { UnavailableError } from '../../lib/errors.ts';
import { clusterIpsOf } from '../kinds/services/kind.ts';
import { ANNOTATION_AHEAD_OF, ANNOTATION_UID } from '../names.ts';
import type { Service, ServiceSpec } from '../objects.ts';
import { INDEX } from '../stores.ts';
import type { StreamServer } from '../stream-server.ts';
import { createReservations, type Reservations, type ReservationsDeps } from './reservations.ts';
import { createAdmissionServer } from './server.ts';

const logger = pino({ level: 'silent' });
const NAMESPACE = 'host-ns';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let tls: { ca: string; server: PemPair };
beforeAll(async () => {
  const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const authority = await createAuthority({ name: 'ca', commonName: 'vc', organization: 'ns' }, validity);
  const names = [ADMISSION_HOST];
  const plan = {
    name: 'webhook',
    authority: 'ca',
    commonName: ADMISSION_HOST,
    usage: 'server',
    names,
  } as const;
  tls = { ca: authority.pem.public, server: await createLeaf(plan, authority, validity) };
});

/** The host API: it gives addresses, one after the other, and refuses when told to. */
function hostApi() {
  const memory = createMemoryKube();
  let given = 0;
  let givenPorts = 30_000;
  const host: { refuse?: Error; client: ReservationsDeps['client']; services(): Promise<Service[]> } = {
    services: async () =>
      (await memory.list<Service>(SERVICES, { namespace: NAMESPACE, signal: AbortSignal.timeout(1000) }))
        .items,
    client: {
      get: memory.get,
      delete: memory.delete,
      async create<T extends KubeObject>(type: ResourceType, object: T, options: { signal: AbortSignal }) {
        if (host.refuse) throw host.refuse;
        const { spec } = object as Service;
        const clusterIP = spec?.clusterIP ?? `10.96.0.${++given}`;
        const assigned = {
          clusterIP,
          clusterIPs: [clusterIP],
          ipFamilies: ['IPv4'],
          ipFamilyPolicy: 'SingleStack',
        };
        return memory.create(type, { ...object, spec: { ...spec, ...assigned } }, options);
      },
      async patch<T extends KubeObject>(
        type: ResourceType,
        name: { namespace?: string; name: string },
        patch: { body: object },
        options: { signal: AbortSignal },
      ) {
        if (host.refuse) throw host.refuse;
        const service = await memory.get<Service>(type, name, options);
        const { spec, metadata } = patch.body as Service;
        const merged = { ...service.metadata.annotations, ...metadata?.annotations };
        const annotations = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
        const isWidened = spec?.ipFamilyPolicy !== undefined;
        const changed = {
          ...service.spec,
          ...(isWidened && {
            clusterIPs: [...clusterIpsOf(service), 'fd00::1'],
            ipFamilies: ['IPv4', 'IPv6'],
          }),
          ...spec,
          ...(spec?.ports && { ports: spec.ports.map((port) => ({ nodePort: ++givenPorts, ...port })) }),
        };
        const next = { ...service, metadata: { ...service.metadata, annotations }, spec: changed };
        return memory.update<T>(type, next as KubeObject as T, options);
      },
    },
  };
  return host;
}

let host: ReturnType<typeof hostApi>;
let hostServices: Store<Service>;
let virtualServices: Store<Service>;
let clock: ManualClock;
let reservations: Reservations;
let server: StreamServer;
beforeEach(() => {
  host = hostApi();
  const indexers = { [INDEX.byClusterIp]: clusterIpsOf };
  hostServices = createStore<Service>({ indexers });
  virtualServices = createStore<Service>({ indexers });
  clock = createManualClock();
  reservations = createReservations({
    client: host.client,
    stores: { host: { services: hostServices }, virtual: { services: virtualServices } },
    facts: {
      cluster: 'vc',
      hostNamespace: NAMESPACE,
      owner: { apiVersion: 'v1', kind: 'ConfigMap', name: 'vc-anchor', uid: 'a-1' },
    },
    context: { hostName: (_, { name }) => name, nameInside: () => undefined },
    clock,
    logger,
  });
  server = createAdmissionServer({
    tls: { cert: tls.server.public, key: tls.server.private },
    reservations,
    logger,
  });
  cleanups.push(() => server.close());
});

async function post(path: string, body: string) {
  const socketPath = join(tmpdir(), `admission-${randomUUID()}.sock`);
  const gate = createServer({ allowHalfOpen: true }, (stream) => {
    stream.on('error', () => {});
    server.accept(stream);
  }).listen(socketPath);
  const raw = connect(socketPath);
  cleanups.push(() => {
    raw.destroy();
    gate.close();
  });
  const outgoing = httpsRequest({
    method: 'POST',
    path,
    createConnection: () => tlsConnect({ socket: raw, ca: tls.ca, servername: ADMISSION_HOST }),
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

interface Review {
  uid: string;
  allowed: boolean;
  patch?: { path: string; value: unknown }[];
  status?: { code: number; message: string };
}

async function review(spec: ServiceSpec, request: object = {}): Promise<Review> {
  const object: Service = { metadata: { namespace: 'shop', name: 'web' }, spec };
  const kind = { group: '', version: 'v1', kind: 'Service' };
  const body = { request: { uid: 'u-1', operation: 'CREATE', kind, object, oldObject: null, ...request } };
  const answered = await post('/services?timeout=5s', JSON.stringify(body));
  expect(answered.status).toBe(200);
  const { apiVersion, kind: answeredKind, response } = JSON.parse(answered.body);
  expect([apiVersion, answeredKind]).toEqual(['admission.k8s.io/v1', 'AdmissionReview']);
  return {
    ...response,
    ...(response.patch && { patch: JSON.parse(Buffer.from(response.patch, 'base64').toString()) }),
  };
}

const SPEC: ServiceSpec = { type: 'ClusterIP', ports: [{ port: 80 }] };
const addressOf = ({ patch = [] }: Review) => patch.find(({ path }) => path === '/spec/clusterIP')?.value;

describe('a new Service', () => {
  it('gets the cluster IP of the host Service that was reserved for it', async () => {
    const answered = await review(SPEC);
    expect(answered).toMatchObject({ uid: 'u-1', allowed: true, patchType: 'JSONPatch' });
    expect(addressOf(answered)).toBe('10.96.0.1');
    expect(await host.services()).toHaveLength(1);
  });

  it('gets the same one when the API server asks again', async () => {
    const first = await review(SPEC);
    expect(addressOf(await review(SPEC))).toBe(addressOf(first));
    expect(await host.services()).toHaveLength(1);
    expect(addressOf(await review(SPEC, { uid: 'u-2' }))).not.toBe(addressOf(first));
  });

  it('reserves nothing in a dry run', async () => {
    expect(await review(SPEC, { dryRun: true })).toEqual({ uid: 'u-1', allowed: true });
    expect(await host.services()).toEqual([]);
  });

  it('reserves nothing when it is headless', async () => {
    expect(await review({ clusterIP: 'None' })).toEqual({ uid: 'u-1', allowed: true });
    expect(await host.services()).toEqual([]);
  });

  it('is denied in the host’s words, under its own name', async () => {
    const message = 'Service "vc-reserved-0123456789ab" is invalid: provided IP is already allocated';
    host.refuse = new KubeError({ status: 422, reason: 'Invalid', message });
    const { allowed, status } = await review({ ...SPEC, clusterIP: '10.96.0.9' });
    expect(allowed).toBe(false);
    expect(status).toEqual({
      code: 422,
      reason: 'Invalid',
      message: 'the host cluster refuses: Service "web" is invalid: provided IP is already allocated',
    });
  });

  it('is denied without a word about the syncer’s own rights', async () => {
    const message = 'services is forbidden: User "system:serviceaccount:host-ns:vc" cannot create resource';
    host.refuse = new KubeError({ status: 403, reason: 'Forbidden', message });
    const { status } = await review(SPEC);
    expect(status?.code).toBe(500);
    expect(status?.message).not.toContain('serviceaccount');
  });

  it('is denied without the host’s names while the host deletes its namespace (F15)', async () => {
    host.refuse = new KubeError({
      status: 403,
      reason: 'Forbidden',
      message: 'services "x" is forbidden: unable to create new content in namespace host-ns',
      details: { causes: [{ reason: 'NamespaceTerminating' }] },
    });
    const { status } = await review(SPEC);
    expect(status).toMatchObject({ code: 403, message: expect.stringContaining('is being deleted') });
    expect(status?.message).not.toContain('host-ns');
  });

  it('is denied for now while the host does not answer', async () => {
    host.refuse = new UnavailableError({
      code: 'KubernetesUnreachable',
      message: 'connect ECONNREFUSED 10.0.0.1',
    });
    expect((await review(SPEC)).status).toMatchObject({
      code: 503,
      message: expect.not.stringContaining('10.0.0.1'),
    });
  });
});

/** Has the reserved host Services be those of virtual ones, in the local copy. */
async function adopt(): Promise<void> {
  const adopted = (await host.services()).map((reserved) => {
    const annotations = { ...reserved.metadata.annotations, [ANNOTATION_UID]: 'uid-web' };
    return { ...reserved, metadata: { ...reserved.metadata, annotations } };
  });
  hostServices.replace(adopted);
}

describe('a Service that becomes dual-stack', () => {
  const before: ServiceSpec = { ...SPEC, clusterIP: '10.96.0.1', ipFamilyPolicy: 'SingleStack' };
  const update = (spec: ServiceSpec = {}) =>
    review(
      { ...before, ipFamilyPolicy: 'PreferDualStack', ...spec },
      { operation: 'UPDATE', oldObject: { metadata: { name: 'web' }, spec: before } },
    );

  it('gets the second address from its host Service', async () => {
    await review(SPEC);
    await adopt();
    expect((await update()).patch).toContainEqual({
      op: 'add',
      path: '/spec/clusterIPs',
      value: ['10.96.0.1', 'fd00::1'],
    });
  });

  it('gets the second address that it asks for', async () => {
    await review(SPEC);
    await adopt();
    const clusterIPs = ['10.96.0.1', 'fd00::77'];
    const { patch } = await update({ clusterIPs });
    expect(patch).toContainEqual({ op: 'add', path: '/spec/clusterIPs', value: clusterIPs });
    expect((await host.services())[0]?.spec).toMatchObject({ clusterIPs });
  });

  it('has to wait until it is on the host', async () => {
    expect(await update()).toMatchObject({ allowed: false, status: { code: 409 } });
  });

  it('has to wait until the reserved host Service is its own, which would undo the change', async () => {
    await review(SPEC);
    hostServices.replace(await host.services());
    expect(await update()).toMatchObject({ allowed: false, status: { code: 409 } });
    expect((await host.services())[0]?.spec?.clusterIPs).toEqual(['10.96.0.1']);
  });
});

describe('a Service that gets ports on nodes', () => {
  const before: ServiceSpec = { ...SPEC, clusterIP: '10.96.0.1' };
  const update = (request: object = {}) =>
    review(
      { ...before, type: 'NodePort' },
      {
        operation: 'UPDATE',
        oldObject: { metadata: { name: 'web', resourceVersion: '7' }, spec: before },
        ...request,
      },
    );
  beforeEach(async () => {
    await review(SPEC);
    await adopt();
  });
  const onHost = async () => (await host.services())[0];

  it('gets those of its host Service, which is held for it', async () => {
    expect((await update()).patch).toEqual([{ op: 'add', path: '/spec/ports/0/nodePort', value: 30_001 }]);
    expect(await onHost()).toMatchObject({
      metadata: { annotations: { [ANNOTATION_AHEAD_OF]: '7' } },
      spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 30_001 }] },
    });
  });

  it('changes nothing in a dry run', async () => {
    expect(await update({ dryRun: true })).toEqual({ uid: 'u-1', allowed: true });
    expect((await onHost())?.spec?.type).toBe('ClusterIP');
  });

  it('is denied in the host’s words, under its own name', async () => {
    const name = 'web-shop-vc-abcdefghij';
    const message = `Service "${name}" is invalid: provided port is already allocated`;
    const renamed = hostServices.list().map((own) => ({ ...own, metadata: { ...own.metadata, name } }));
    hostServices.replace(renamed);
    host.refuse = new KubeError({ status: 422, reason: 'Invalid', message });
    expect((await update()).status?.message).toBe(
      'the host cluster refuses: Service "web" is invalid: provided port is already allocated',
    );
  });

  it('is let go of after a minute when its update did not come, and stays', async () => {
    await update();
    hostServices.replace(await host.services());
    const stop = new AbortController();
    const running = reservations.run(stop.signal);
    cleanups.push(async () => {
      stop.abort();
      await running;
    });
    await clock.advance(45_000);
    expect((await onHost())?.metadata.annotations).toHaveProperty([ANNOTATION_AHEAD_OF]);
    await clock.advance(30_000);
    expect((await onHost())?.metadata.annotations).not.toHaveProperty([ANNOTATION_AHEAD_OF]);
  });
});

describe('what is no review', () => {
  it.each([
    ['no JSON', '/services', 'x', 400],
    [
      'another object',
      '/services',
      '{"request":{"uid":"u","operation":"CREATE","kind":{"kind":"Pod"},"object":{"metadata":{}}}}',
      400,
    ],
    ['no request', '/services', '{}', 400],
    ['null', '/services', 'null', 400],
    ['another path', '/pods', '{}', 404],
  ])('%s is refused', async (_, path, body, status) => expect((await post(path, body)).status).toBe(status));
});

describe('a reservation that nobody adopts', () => {
  let stop: AbortController;
  beforeEach(async () => {
    await review(SPEC);
    hostServices.replace(await host.services());
    stop = new AbortController();
    const running = reservations.run(stop.signal);
    cleanups.push(async () => {
      stop.abort();
      await running;
    });
  });

  it('is given back after a minute, also when this process did not make it', async () => {
    await clock.advance(45_000);
    expect(await host.services()).toHaveLength(1);
    await clock.advance(30_000);
    expect(await host.services()).toEqual([]);
  });

  it('is not given back early when the wall clock jumps', async () => {
    clock.jump(3_600_000);
    await clock.advance(15_000);
    expect(await host.services()).toHaveLength(1);
  });

  it('is kept while a virtual Service has its address', async () => {
    virtualServices.replace([
      { metadata: { namespace: 'shop', name: 'web' }, spec: { clusterIP: '10.96.0.1' } },
    ]);
    await clock.advance(300_000);
    expect(await host.services()).toHaveLength(1);
  });

  it('is kept when it is adopted in this very moment', async () => {
    const [service] = await host.services();
    if (!service) throw new Error('no reservation');
    await host.client.patch(
      SERVICES,
      { namespace: NAMESPACE, name: service.metadata.name ?? '' },
      { type: 'merge', body: { spec: {} } },
      { signal: stop.signal },
    );
    await clock.advance(300_000);
    expect(await host.services()).toHaveLength(1);
  });

  it('leaves adopted Services alone', async () => {
    const [service] = await host.services();
    if (!service) throw new Error('no reservation');
    const annotations = { ...service.metadata.annotations, [ANNOTATION_UID]: 'u' };
    const metadata = { ...service.metadata, annotations, resourceVersion: 'adopted' };
    hostServices.replace([{ ...service, metadata }]);
    await clock.advance(300_000);
    expect(await host.services()).toHaveLength(1);
  });
});
