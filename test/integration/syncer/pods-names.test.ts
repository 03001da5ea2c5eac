// What a pod knows of itself: its host name and /etc/hosts, and the downward API. All as it is inside, nothing of the host.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PODS, SECRETS, SERVICE_ACCOUNTS, SERVICES } from '../../../src/kube/resource.ts';
import type { EnvVar, Pod, Secret, Service } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { STATEFUL_SETS } from '../../support/resource-types.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads('names', { 'isolation.profile': 'restricted' });
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;
/** What the profile of these tests asks of a container. */
const hardened = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  runAsUser: 1000,
  seccompProfile: { type: 'RuntimeDefault' },
};

describe('the pods of a StatefulSet', () => {
  beforeAll(async () => {
    const service: Service = {
      metadata: named('db'),
      spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 80 }] },
    };
    await inside().create(SERVICES, service, call());
    const { spec } = podRunning('db', 'true', {
      container: { securityContext: hardened },
      initContainers: [
        {
          name: 'early',
          image: 'docker.io/library/busybox:1.35.0',
          command: ['sh', '-c', 'cat /etc/hosts > /dev/termination-log'],
          securityContext: hardened,
        },
      ],
      hostAliases: [{ ip: '192.0.2.7', hostnames: ['old-db'] }],
    });
    const set = {
      metadata: named('db'),
      spec: {
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: { metadata: { labels: { app: 'db' } }, spec },
      },
    };
    await inside().create(STATEFUL_SETS, set, call());
    await work.running('db-0');
  });

  it('know their full name, and are known by it', async () => {
    expect(await work.output('db-0', 'hostname')).toBe('db-0');
    expect(await work.output('db-0', 'hostname', '-f')).toBe('db-0.db.default.svc.cluster.local');
    const { status } = await work.running('db-0');
    const hosts = await work.output('db-0', 'cat', '/etc/hosts');
    expect(hosts).toMatch(/^# Kubernetes-managed hosts file\./);
    expect(hosts).toContain(`${status?.podIP}\tdb-0.db.default.svc.cluster.local\tdb-0\n`);
    expect(hosts).toMatch(/192\.0\.2\.7\told-db$/);
    expect(hosts).not.toContain(work.hostNamespace);
    expect(status?.initContainerStatuses).toMatchObject([{ name: 'early' }]);
    expect(status?.initContainerStatuses?.[0]?.state?.terminated?.message).toContain('db-0.db.default.svc');
    const answer = await eventually(
      async () => work.output('db-0', 'nslookup', 'db-0.db.default.svc.cluster.local'),
      { what: 'the name is answered', timeoutMs: 20_000 },
    );
    expect(answer).toContain(status?.podIP);
  });

  it('show no container of ours, in their state or in their events', async () => {
    const told = await work.cluster.inside.kubectl(['describe', 'pod', 'db-0']);
    expect(told).toContain('Created container: app');
    expect(told).not.toContain('mayfly-hosts');
  });
});

describe('the downward API', () => {
  const field = (name: string, fieldPath: string): EnvVar => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  const FIELDS = {
    NAME: 'metadata.name',
    NAMESPACE: 'metadata.namespace',
    UID: 'metadata.uid',
    LABEL: "metadata.labels['team']",
    NOTE: "metadata.annotations['example.com/note']",
    NODE: 'spec.nodeName',
    ACCOUNT: 'spec.serviceAccountName',
    HOST: 'status.hostIP',
    HOSTS: 'status.hostIPs',
    IP: 'status.podIP',
    IPS: 'status.podIPs',
  };

  it('tells every field as it is inside, also after it has changed', async () => {
    const env = Object.entries(FIELDS).map(([name, path]) => field(`ME_${name}`, path));
    env.push({ name: 'ME_CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } });
    const item = (path: string, fieldPath: string) => ({ path, fieldRef: { fieldPath } });
    const items = [
      item('name', 'metadata.name'),
      item('labels', 'metadata.labels'),
      item('annotations', 'metadata.annotations'),
      item('team', "metadata.labels['team']"),
      {
        path: 'memory',
        resourceFieldRef: { containerName: 'app', resource: 'requests.memory', divisor: '1Mi' },
      },
    ];
    const pod = podRunning('self', 'true', {
      container: {
        securityContext: hardened,
        env,
        resources: { requests: { cpu: '20m', memory: '16Mi' }, limits: { cpu: '150m', memory: '32Mi' } },
        volumeMounts: [{ name: 'info', mountPath: '/info' }],
      },
      volumes: [{ name: 'info', downwardAPI: { items } }],
    });
    pod.metadata.labels = { team: 'blue' };
    pod.metadata.annotations = { 'example.com/note': 'one "line"\nand more' };
    await work.create(pod);
    const { metadata, spec, status } = await work.running('self');
    const told = await work.output('self', 'sh', '-c', 'env | grep ^ME_ | sort');
    const expected: Record<string, string | undefined> = {
      ACCOUNT: 'default',
      CPU: '150',
      HOST: status?.hostIP,
      HOSTS: status?.hostIP,
      IP: status?.podIP,
      IPS: status?.podIP,
      LABEL: 'blue',
      NAME: 'self',
      NAMESPACE: 'default',
      NODE: spec?.nodeName,
      NOTE: 'one "line"',
      UID: metadata.uid,
    };
    expect(told.split('\n')).toEqual(Object.entries(expected).map(([name, value]) => `ME_${name}=${value}`));
    const file = (name: string) => work.output('self', 'cat', `/info/${name}`);
    expect(await file('name')).toBe('self');
    expect(await file('memory')).toBe('16');
    expect(await file('labels')).toBe('team="blue"');
    expect(await file('annotations')).toBe('example.com/note="one \\"line\\"\\nand more"');
    const body = { metadata: { labels: { team: 'red' }, annotations: { 'example.com/late': 'yes' } } };
    await inside().patch(PODS, named('self'), { type: 'merge', body }, call());
    const changed = await eventually(
      async () => ((await file('team')) === 'red' ? file('annotations') : undefined),
      { what: 'the volume shows the change', timeoutMs: 120_000 },
    );
    expect(changed).toContain('example.com/late="yes"');
  });
});

describe('pull secrets of a ServiceAccount', () => {
  it('are copied for the pods that it gives them to', async () => {
    const config = Buffer.from(JSON.stringify({ auths: { 'registry.example.com': { auth: 'eDp5' } } }));
    const pull: Secret = {
      metadata: named('pull'),
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': config.toString('base64') },
    };
    await inside().create(SECRETS, pull, call());
    const account = { metadata: named('puller'), imagePullSecrets: [{ name: 'pull' }] };
    await inside().create(SERVICE_ACCOUNTS, account, call());
    await work.create(
      podRunning('pulls', 'true', { serviceAccountName: 'puller', container: { securityContext: hardened } }),
    );
    await work.running('pulls');
    const copy = await work.onHost<Secret>(SECRETS, 'pull');
    expect(copy?.type).toBe(pull.type);
    const pod = await work.onHost<Pod>(PODS, 'pulls');
    expect(pod?.spec?.imagePullSecrets).toEqual([{ name: copy?.metadata.name }]);
  });
});
