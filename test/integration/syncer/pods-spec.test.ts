// Fields of a pod that only a real API server, scheduler and kubelet can tell the effect of.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, PODS, PRIORITY_CLASSES } from '../../../src/kube/resource.ts';
import type { ConfigMap, Pod } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const WEB = 'mkdir /tmp/www; echo page > /tmp/www/index.html; busybox httpd -p 8080 -h /tmp/www';

let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads('fields');
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;
const conditionOf = ({ status }: Pod, type: string) =>
  status?.conditions?.find((condition) => condition.type === type)?.status;

describe('the environment', () => {
  it('holds whole config maps under their prefix, and goes without what is optional', async () => {
    const data = { host: 'db', port: '5432' };
    await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named('database'), data }, call());
    const container = {
      envFrom: [
        { prefix: 'DB_', configMapRef: { name: 'database' } },
        { secretRef: { name: 'missing', optional: true } },
      ],
      env: [
        {
          name: 'MAYBE',
          valueFrom: { configMapKeyRef: { name: 'database', key: 'missing', optional: true } },
        },
        { name: 'URL', value: '$(DB_host):$(DB_port)' },
      ],
    };
    const volumes = [{ name: 'none', secret: { secretName: 'missing', optional: true } }];
    await work.create(podRunning('env', 'true', { container, volumes }));
    await work.running('env');
    const told = await work.output('env', 'sh', '-c', 'env | grep -E "^(DB_|URL|MAYBE)" | sort');
    expect(told.split('\n')).toEqual(['DB_host=db', 'DB_port=5432', 'URL=db:5432']);
  });
});

describe('probes', () => {
  it('of each kind decide over readiness, and a failed one over the life of a container', async () => {
    const quick = { periodSeconds: 1, failureThreshold: 2 };
    const web = podRunning('probed', `${WEB}; touch /tmp/alive`, {
      container: {
        startupProbe: { exec: { command: ['test', '-f', '/tmp/alive'] }, ...quick, failureThreshold: 20 },
        readinessProbe: { httpGet: { path: '/', port: 8080 }, ...quick },
        livenessProbe: { exec: { command: ['test', '-f', '/tmp/alive'] }, ...quick },
      },
    });
    await work.create(web);
    await work.podWhere('probed', 'is ready', (pod) => conditionOf(pod, 'Ready') === 'True');
    await work.output('probed', 'mv', '/tmp/www/index.html', '/tmp/www/away');
    await work.podWhere('probed', 'is not ready', (pod) => conditionOf(pod, 'Ready') === 'False');
    await work.output('probed', 'rm', '/tmp/alive');
    await work.podWhere('probed', 'was started again', ({ status }) =>
      Boolean(status?.containerStatuses?.some(({ restartCount }) => restartCount > 0)),
    );
  });
});

describe('gates', () => {
  it('of scheduling keep a pod from the host until they are lifted', async () => {
    await work.create(podRunning('gated', 'true', { schedulingGates: [{ name: 'example.com/wait' }] }));
    const gated = await work.podWhere('gated', 'is told to wait', (pod) =>
      Boolean(pod.status?.conditions?.some(({ reason }) => reason === 'SchedulingGated')),
    );
    expect(await work.onHost(PODS, 'gated')).toBeUndefined();
    expect(gated.spec?.nodeName).toBeUndefined();
    await inside().patch(
      PODS,
      named('gated'),
      { type: 'json', body: [{ op: 'remove', path: '/spec/schedulingGates' }] },
      call(),
    );
    await work.running('gated');
  });

  it('of readiness are decided inside', async () => {
    const conditionType = 'example.com/ready';
    await work.create(podRunning('waits', 'true', { readinessGates: [{ conditionType }] }));
    const pod = await work.podWhere(
      'waits',
      'has ready containers',
      (found) => conditionOf(found, 'ContainersReady') === 'True',
    );
    expect(conditionOf(pod, 'Ready')).toBe('False');
    await eventually(
      async () => {
        const current = await inside().get<Pod>(PODS, named('waits'), call());
        current.status?.conditions?.push({ type: conditionType, status: 'True' });
        return inside().update(PODS, current, { ...call(), subresource: 'status' });
      },
      { what: 'the condition is written', timeoutMs: 20_000 },
    );
    await work.podWhere('waits', 'is ready', (found) => conditionOf(found, 'Ready') === 'True');
  });
});

describe('what stays inside', () => {
  it('is a priority, which is shown there and has no weight on the host', async () => {
    const important = { metadata: { name: 'important' }, value: 1_000_000 };
    await inside().create(PRIORITY_CLASSES, important, call());
    await work.create(podRunning('vip', 'true', { priorityClassName: 'important' }));
    expect((await work.running('vip')).spec).toMatchObject({
      priorityClassName: 'important',
      priority: 1_000_000,
    });
    expect((await work.onHost<Pod>(PODS, 'vip'))?.spec?.priority ?? 0).toBe(0);
  });
});

describe('the whole pod', () => {
  it('shares what it asks to share, within the resources that it has', async () => {
    const { spec } = podRunning('x');
    const [app] = spec?.containers ?? [];
    await work.create(
      podRunning('whole', 'true', {
        shareProcessNamespace: true,
        os: { name: 'linux' },
        hostAliases: [{ ip: '192.0.2.9', hostnames: ['legacy'] }],
        resources: { requests: { cpu: '50m', memory: '32Mi' }, limits: { cpu: '200m', memory: '64Mi' } },
        containers: app ? [app, { ...app, name: 'second' }] : [],
      }),
    );
    await work.running('whole');
    const first = (...command: string[]) => work.output('whole', ...command);
    expect(await first('sh', '-c', 'ps | grep -c "[s]leep 3600$"')).toBe('2');
    expect(await first('cat', '/etc/hosts')).toMatch(/192\.0\.2\.9\tlegacy/);
    expect((await work.onHost<Pod>(PODS, 'whole'))?.spec?.resources?.limits).toEqual({
      cpu: '200m',
      memory: '64Mi',
    });
  });

  it('may ask for more than the limit that the host gives by default', async () => {
    const resources = { requests: { memory: '600Mi', cpu: '10m' } };
    await work.create(podRunning('hungry', 'true', { container: { resources } }));
    await work.running('hungry');
  });
});
