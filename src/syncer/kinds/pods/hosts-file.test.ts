import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import type { TranslationContext } from '../../kind.ts';
import type { Pod, PodSpec } from '../../objects.ts';
import { isHostsWriter } from './hosts-file.ts';
import { violations } from './isolation.ts';
import { hostPodSpec } from './spec.ts';

function specOf(spec: Partial<PodSpec>, overrides: Partial<TranslationContext> = {}): PodSpec {
  const pod: Pod = {
    metadata: { namespace: 'shop', name: 'db-0' },
    spec: { containers: [{ name: 'db' }], hostname: 'db-0', subdomain: 'db', ...spec },
  };
  return hostPodSpec(pod, translationContext({}, overrides));
}

/** What the container writes, run by a shell of this machine. */
async function written({ initContainers = [] }: PodSpec, ips: string): Promise<string> {
  const [writer] = initContainers;
  const folder = await mkdtemp(join(tmpdir(), 'hosts-'));
  const [shell = '', ...args] = (writer?.command ?? []).map((part) =>
    part.replaceAll('/mayfly-hosts/', `${folder}/`),
  );
  const env = Object.fromEntries((writer?.env ?? []).map(({ name, value }) => [name, value ?? ips]));
  await promisify(execFile)(shell, args, { env });
  const text = await readFile(join(folder, 'hosts'), 'utf8');
  await rm(folder, { recursive: true });
  return text;
}

describe('/etc/hosts of a pod with a subdomain', () => {
  it('holds its full name inside for each of its addresses, and its host aliases', async () => {
    const hostAliases = [{ ip: '192.0.2.1', hostnames: ['a.example.com', 'b'] }];
    expect(await written(specOf({ hostAliases }), '10.244.0.7,fd00::7')).toBe(
      [
        '# Kubernetes-managed hosts file.',
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'fe00::0\tip6-mcastprefix',
        'fe00::1\tip6-allnodes',
        'fe00::2\tip6-allrouters',
        '10.244.0.7\tdb-0.db.shop.svc.cluster.local\tdb-0',
        'fd00::7\tdb-0.db.shop.svc.cluster.local\tdb-0',
        '',
        '# Entries added by HostAliases.',
        '192.0.2.1\ta.example.com\tb',
        '',
      ].join('\n'),
    );
  });

  it('is mounted in all containers but those that mount one of their own', () => {
    const own = { name: 'own', volumeMounts: [{ name: 'mine', mountPath: '/etc/hosts' }] };
    const { containers, initContainers } = specOf({
      volumes: [{ name: 'mine' }],
      containers: [{ name: 'db' }, own],
      initContainers: [{ name: 'init' }],
    });
    const mount = { name: 'mayfly-hosts', mountPath: '/etc/hosts', subPath: 'hosts' };
    expect(containers.map(({ volumeMounts }) => volumeMounts)).toEqual([[mount], own.volumeMounts]);
    expect(initContainers?.map(({ name }) => name)).toEqual(['mayfly-hosts', 'init']);
    expect(initContainers?.[1]?.volumeMounts).toEqual([mount]);
  });

  it('is written by a container that any profile allows, and for which the pod needs no more', () => {
    const resources = {
      requests: { cpu: '1', memory: '1Gi', 'nvidia.com/gpu': '1' },
      limits: { cpu: '1', memory: '1Gi', 'nvidia.com/gpu': '1' },
    };
    const { initContainers } = specOf({ containers: [{ name: 'db', resources }] });
    expect(violations({ containers: initContainers ?? [] }, 'restricted')).toEqual([]);
    const cpuAndMemory = { cpu: '1', memory: '1Gi' };
    expect(initContainers?.[0]?.resources).toEqual({ requests: cpuAndMemory, limits: cpuAndMemory });
  });

  it('comes by a name that the pod has not taken', () => {
    const taken = { name: 'mayfly-hosts' };
    const { volumes, initContainers = [] } = specOf({ volumes: [taken], initContainers: [taken] });
    expect(volumes?.map(({ name }) => name)).toEqual(['mayfly-hosts', 'mayfly-hosts-x']);
    expect(initContainers.map((container) => isHostsWriter(container))).toEqual([true, false]);
  });

  it.each<[string, Partial<PodSpec>, Partial<TranslationContext>]>([
    ['has no subdomain', { subdomain: undefined }, {}],
    ['uses the node’s network', { hostNetwork: true }, { profile: 'none' }],
    ['has a host name of its own', { hostnameOverride: 'db.example.com' }, {}],
    ['runs Windows', { os: { name: 'windows' } }, {}],
    ['is in a cluster that has no image for it', {}, { hostsImage: undefined }],
  ])('is the kubelet’s where the pod %s', (_, spec, overrides) => {
    const { initContainers, volumes } = specOf(spec, overrides);
    expect([initContainers, volumes]).toEqual([undefined, undefined]);
  });
});
