import { describe, expect, it } from 'vitest';
import { RefusedError } from '../../kind.ts';
import type { Container, PodSpec } from '../../objects.ts';
import { ephemeralProblem, requireIsolation, violations } from './isolation.ts';

const app = (container: Partial<Container>): PodSpec => ({ containers: [{ name: 'app', ...container }] });
const within = (securityContext: Container['securityContext']) => app({ securityContext });
const pathsOf = (spec: PodSpec, profile: 'baseline' | 'restricted' | 'none') =>
  violations(spec, profile).map(({ path }) => path);

describe('baseline', () => {
  it.each<[string, PodSpec]>([
    ['spec.hostNetwork', { containers: [], hostNetwork: true }],
    ['spec.hostPID', { containers: [], hostPID: true }],
    ['spec.hostIPC', { containers: [], hostIPC: true }],
    ['spec.volumes[0].hostPath', { containers: [], volumes: [{ name: 'x', hostPath: { path: '/' } }] }],
    ['spec.volumes[0].nfs', { containers: [], volumes: [{ name: 'x', nfs: { path: '/', server: 'x' } }] }],
    ['spec.volumes[0].csi', { containers: [], volumes: [{ name: 'x', csi: { driver: 'x' } }] }],
    ['spec.containers[0].securityContext.privileged', within({ privileged: true })],
    ['spec.containers[0].securityContext.procMount', within({ procMount: 'Unmasked' })],
    [
      'spec.containers[0].securityContext.capabilities.add[1]',
      within({ capabilities: { add: ['CHOWN', 'SYS_ADMIN'] } }),
    ],
    [
      'spec.containers[0].securityContext.seccompProfile.type',
      within({ seccompProfile: { type: 'Unconfined' } }),
    ],
    [
      'spec.containers[0].securityContext.appArmorProfile.type',
      within({ appArmorProfile: { type: 'Unconfined' } }),
    ],
    ['spec.containers[0].securityContext.seLinuxOptions.type', within({ seLinuxOptions: { type: 'spc_t' } })],
    ['spec.containers[0].ports[0].hostPort', app({ ports: [{ containerPort: 80, hostPort: 80 }] })],
    [
      'spec.containers[0].livenessProbe.httpGet.host',
      app({ livenessProbe: { httpGet: { host: '169.254.169.254', port: 80 } } }),
    ],
    [
      'spec.containers[0].lifecycle.preStop.httpGet.host',
      app({ lifecycle: { preStop: { httpGet: { host: 'x', port: 80 } } } }),
    ],
    [
      'spec.containers[0].volumeMounts[0].mountPropagation',
      app({ volumeMounts: [{ name: 'x', mountPath: '/x', mountPropagation: 'Bidirectional' }] }),
    ],
    [
      'spec.securityContext.sysctls[0].name',
      { containers: [], securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
    ],
    [
      'spec.securityContext.seccompProfile.type',
      { containers: [], securityContext: { seccompProfile: { type: 'Unconfined' } } },
    ],
  ])('refuses %s (T1)', (path, spec) => {
    expect(pathsOf(spec, 'baseline')).toEqual([path]);
    expect(() => requireIsolation(spec, 'baseline')).toThrow(RefusedError);
    expect(() => requireIsolation(spec, 'baseline')).toThrow(path);
  });

  it('looks at init containers too, and at each ephemeral one by itself (T3)', () => {
    const bad = { name: 'x', securityContext: { privileged: true } };
    const spec = { containers: [], initContainers: [bad], ephemeralContainers: [{ name: 'good' }, bad] };
    expect(pathsOf(spec, 'baseline')).toEqual(['spec.initContainers[0].securityContext.privileged']);
    expect(ephemeralProblem(spec, 0, 'baseline')).toBeUndefined();
    expect(ephemeralProblem(spec, 0, 'restricted')).toContain('spec.ephemeralContainers[0].securityContext');
    expect(ephemeralProblem(spec, 1, 'baseline')).toBe(
      'spec.ephemeralContainers[1].securityContext.privileged: privileged containers are not allowed',
    );
    expect(ephemeralProblem(spec, 1, 'none')).toBeUndefined();
  });

  it('accepts an ordinary pod', () => {
    const spec: PodSpec = {
      ...within({ capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'] }, runAsUser: 0 }),
      volumes: [{ name: 'a' }, { name: 'b', emptyDir: {} }, { name: 'c', secret: { secretName: 'x' } }],
    };
    expect(violations(spec, 'baseline')).toEqual([]);
  });
});

describe('restricted', () => {
  const hardened: Container['securityContext'] = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  };

  it('accepts a hardened container', () => expect(violations(within(hardened), 'restricted')).toEqual([]));

  it('names everything that an ordinary container lacks', () => {
    expect(pathsOf(app({}), 'restricted').map((path) => path.split('.').slice(3).join('.'))).toEqual([
      'allowPrivilegeEscalation',
      'capabilities.drop',
      'runAsNonRoot',
      'seccompProfile.type',
    ]);
  });

  it('refuses root and further capabilities', () => {
    const spec = within({ ...hardened, runAsUser: 0, capabilities: { drop: ['ALL'], add: ['CHOWN'] } });
    expect(violations(spec, 'restricted')).toHaveLength(2);
  });
});

describe('none', () => {
  it('lets the host decide, except over volumes that reach beyond the node', () => {
    expect(violations({ ...within({ privileged: true }), hostNetwork: true }, 'none')).toEqual([]);
    expect(pathsOf({ containers: [], volumes: [{ name: 'x', hostPath: { path: '/' } }] }, 'none')).toEqual(
      [],
    );
    expect(
      pathsOf({ containers: [], volumes: [{ name: 'x', nfs: { path: '/', server: 'x' } }] }, 'none'),
    ).toEqual(['spec.volumes[0].nfs']);
  });
});
