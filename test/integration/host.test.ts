// The test host itself, from outside: what it gives, that it can be repeated, and that it leaves nothing on the machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KUBERNETES_VERSION } from '../host/binaries.ts';
import { run, tryRun } from '../host/command.ts';
import { dropPackets, signalUnit, startUnit, stopUnit } from '../host/faults.ts';
import { type NodePlan, planInstance } from '../host/instance.ts';
import { machineState } from '../host/machine-state.ts';
import { findNodeInit } from '../host/node.ts';
import { eventually } from '../support/eventually.ts';
import { kubectlPath } from '../support/tools.ts';

const NAME = 'host-test';
const CLI = join(import.meta.dirname, '..', 'host', 'cli.ts');
/** Shims and pods stay behind, as they do when containerd crashes. */
const KILL_CONTAINERD =
  'for exe in /proc/[0-9]*/exe; do case $(readlink $exe) in */containerd) kill -9 $(basename $(dirname $exe));; esac; done';
const UP_TIMEOUT_MS = 170_000;

const WORKLOAD = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: busybox:1.35.0
          command: [sh, -c, 'hostname > /www/index.html; exec httpd -f -p 8080 -h /www']
          volumeMounts: [{ name: www, mountPath: /www }]
          readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 }
      volumes: [{ name: www, emptyDir: { medium: Memory } }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: writer }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: writer
      image: busybox:1.35.0
      command: [sh, -c, 'echo written > /data/file; cat /data/file; exec sleep 1000000']
      volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]
`;

/** A pod that asks the image for its version with no capability but these. */
function apiServerPod(name: string, capabilities: string[]): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      containers: [
        {
          name,
          image: `registry.k8s.io/kube-apiserver:${KUBERNETES_VERSION}`,
          command: ['kube-apiserver', '--version'],
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'], add: capabilities },
          },
        },
      ],
    },
  });
}

async function host(...args: string[]): Promise<string> {
  return run(process.execPath, [CLI, '--name', NAME, ...args], { timeoutMs: UP_TIMEOUT_MS });
}

async function kubectl(args: string[], input?: string): Promise<string> {
  const kubeconfig = planInstance(NAME, 1).kubeconfig;
  return run(await kubectlPath(), ['--kubeconfig', kubeconfig, ...args], { input: input ?? '' });
}

async function clusterUid(): Promise<string> {
  return kubectl(['get', 'namespace', 'kube-system', '--output=jsonpath={.metadata.uid}']);
}

function nodes(): [NodePlan, NodePlan] {
  return planInstance(NAME, 2).nodes as [NodePlan, NodePlan];
}

async function webPodOf(node: string): Promise<{ name: string; url: string }> {
  const [name = '', address] = (
    await kubectl([
      ...['get', 'pods', '--selector=app=web', `--field-selector=spec.nodeName=${node}`],
      '--output=jsonpath={.items[0].metadata.name} {.items[0].status.podIP}',
    ])
  ).split(' ');
  return { name, url: `http://${address}:8080/` };
}

/** The process that holds the first node together, as soon as there is one. */
async function firstProcess(): Promise<number> {
  const [node] = planInstance(NAME, 1).nodes;
  return eventually(async () => node && findNodeInit(node), {
    what: 'the node runs',
    timeoutMs: UP_TIMEOUT_MS,
    intervalMs: 20,
  });
}

describe('the test host', () => {
  let before: string[];

  /** Namespaces and mounts of processes that were killed go away a moment after them. */
  async function expectNothingLeft(): Promise<void> {
    const leftovers = async () => {
      const after = await machineState(NAME);
      return [
        ...after.filter((fact) => !before.includes(fact)).map((fact) => `new: ${fact}`),
        ...before.filter((fact) => !after.includes(fact)).map((fact) => `gone: ${fact}`),
      ];
    };
    await eventually(async () => ((await leftovers()).length === 0 ? true : undefined), {
      what: 'the machine is as it was',
      timeoutMs: 3_000,
    }).catch(() => undefined);
    expect(await leftovers()).toEqual([]);
  }

  beforeAll(async () => {
    await host('down');
    before = await machineState(NAME);
  });

  afterAll(() => host('down'));

  describe('with two nodes and pods on them', () => {
    beforeAll(async () => {
      await host('up', '--nodes', '2');
      await kubectl(['apply', '-f', '-'], WORKLOAD);
      await kubectl(['apply', '-f', '-'], apiServerPod('capable', ['NET_BIND_SERVICE']));
      await kubectl(['apply', '-f', '-'], apiServerPod('incapable', []));
      await kubectl(['rollout', 'status', 'daemonset/web', '--timeout=60s']);
      await kubectl(['wait', '--for=condition=Ready', 'pod/writer', '--timeout=60s']);
    }, UP_TIMEOUT_MS);

    it('serves a Service from pods of both nodes, to pods and to the machine', async () => {
      const address = await kubectl(['get', 'service', 'web', '--output=jsonpath={.spec.clusterIP}']);
      const answers = new Set<string>();
      await eventually(
        async () => {
          answers.add(await (await fetch(`http://${address}/`)).text());
          return answers.size === 2 ? true : undefined;
        },
        { what: 'both pods answered', timeoutMs: 10_000, intervalMs: 20 },
      );
      const answer = await kubectl(['exec', 'writer', '--', 'wget', '-q', '-O-', 'http://web.default']);
      expect(answers).toContain(answer);
    });

    it('provisions volumes and serves logs', async () => {
      expect(await kubectl(['logs', 'writer'])).toBe('written\n');
    });

    it('keeps the file capability of the kube-apiserver image, as upstream has it', async () => {
      await kubectl(['wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/capable', '--timeout=30s']);
      await kubectl(['wait', '--for=jsonpath={.status.phase}=Failed', 'pod/incapable', '--timeout=30s']);
      expect(await kubectl(['logs', 'capable'])).toBe(`Kubernetes ${KUBERNETES_VERSION}\n`);
      expect(await kubectl(['logs', 'incapable'])).toContain('operation not permitted');
    });

    it('has no route to the outside', async () => {
      for (const node of planInstance(NAME, 2).nodes) {
        const route = await tryRun('ip', ['-netns', node.netns, 'route', 'get', '192.0.2.1']);
        expect(route.stderr).toContain('Network is unreachable');
      }
    });

    it('keeps its data while its API server or etcd is away', async () => {
      const uid = await clusterUid();
      const [node] = nodes();
      for (const unit of ['etcd', 'kube-apiserver'] as const) {
        await stopUnit(node, unit);
        await expect(kubectl(['get', 'nodes', '--request-timeout=1s'])).rejects.toThrow();
        await startUnit(node, unit);
        expect(await eventually(clusterUid, { what: 'the API answers', timeoutMs: 60_000 })).toBe(uid);
      }
    });

    it('starts a program again that was killed', async () => {
      const [node] = nodes();
      await signalUnit(node, 'kube-apiserver', 'KILL');
      await expect(clusterUid()).rejects.toThrow();
      await eventually(clusterUid, { what: 'the API answers', timeoutMs: 60_000 });
    });

    it('can hang a program', async () => {
      const [node] = nodes();
      await signalUnit(node, 'etcd', 'STOP');
      await expect(kubectl(['get', 'nodes', '--request-timeout=1s'])).rejects.toThrow();
      await signalUnit(node, 'etcd', 'CONT');
      await eventually(() => kubectl(['get', 'nodes']), { what: 'the API answers', timeoutMs: 30_000 });
    });

    it('runs pods on while their kubelet is away', async () => {
      const [, node] = nodes();
      const pod = await webPodOf(node.name);
      const logs = () => kubectl(['logs', pod.name, '--request-timeout=5s']);
      await stopUnit(node, 'kubelet');
      await expect(logs()).rejects.toThrow(/refused/);
      expect(await (await fetch(pod.url)).text()).toBe(`${pod.name}\n`);
      await startUnit(node, 'kubelet');
      await eventually(logs, { what: 'the kubelet answers', timeoutMs: 60_000 });
    });

    it('loses the packets that it is told to lose, until it is told otherwise', async () => {
      const [, node] = nodes();
      const { url } = await webPodOf(node.name);
      const get = async () => (await fetch(url, { signal: AbortSignal.timeout(2_000) })).status;
      const restore = await dropPackets(node, ['tcp dport 8080']);
      await expect(get()).rejects.toThrow(/timeout/);
      await restore();
      expect(await eventually(get, { what: 'the pod answers', timeoutMs: 10_000 })).toBe(200);
    });

    it('is not started again when it is up', async () => {
      const uid = await clusterUid();
      await host('up', '--nodes', '2');
      expect(await clusterUid()).toBe(uid);
    });

    it('leaves nothing behind when it is ended', async () => {
      await host('down');
      await expectNothingLeft();
    });
  });

  it('starts again after its node was killed', async () => {
    await host('up');
    const uid = await clusterUid();
    process.kill(await firstProcess(), 'SIGKILL');
    await expect(host('status')).rejects.toThrow();
    await host('up');
    expect(await clusterUid()).not.toBe(uid);
  });

  it('leaves nothing behind when containerd was killed under running pods', async () => {
    await host('up');
    await run('nsenter', [
      `--target=${await firstProcess()}`,
      '--pid',
      '--mount',
      'sh',
      '-c',
      KILL_CONTAINERD,
    ]);
    await host('down');
    await expectNothingLeft();
  });

  it('leaves nothing behind when it was killed while starting', async () => {
    const starting = spawn(process.execPath, [CLI, '--name', NAME, 'up'], { stdio: 'ignore' });
    const ended = once(starting, 'exit');
    await firstProcess();
    starting.kill('SIGKILL');
    await ended;
    await host('down');
    await expectNothingLeft();
  });
});
