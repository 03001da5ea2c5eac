// How a Service comes to its cluster IP when its creation goes another way than usual: what is reserved on the host must neither
// be lost nor be left over.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, PODS, SERVICES } from '../../../src/kube/resource.ts';
import {
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from '../../../src/syncer/admission/configuration.ts';
import type { Pod, Service } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const CLUSTER = 'reserve';
let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads(CLUSTER);
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;
const service = (metadata: Service['metadata']): Service => ({
  metadata,
  spec: { selector: { app: 'x' }, ports: [{ port: 80 }] },
});
/** By uid, the host Services that the syncer made. */
async function onHost(): Promise<Map<string | undefined, Service>> {
  const { items } = await work.host.client.list<Service>(SERVICES, {
    namespace: work.hostNamespace,
    labelSelector: `mayfly.dev/cluster=${CLUSTER}`,
    ...call(),
  });
  return new Map(items.map((item) => [item.metadata.uid, item]));
}

describe('a Service', () => {
  it('that is created in a dry run reserves nothing', async () => {
    const before = await onHost();
    await work.cluster.inside.kubectl([
      'create',
      'service',
      'clusterip',
      'dry',
      '--tcp=80',
      '--dry-run=server',
    ]);
    expect([...(await onHost()).keys()]).toEqual([...before.keys()]);
    expect(await work.find(SERVICES, 'dry')).toBeUndefined();
  });

  it('that has no name yet has one cluster IP on both sides', async () => {
    const created = await inside().create<Service>(
      SERVICES,
      service({ namespace: 'default', generateName: 'some-' }),
      call(),
    );
    const name = created.metadata.name ?? '';
    const copy = await eventually(() => work.onHost<Service>(SERVICES, name), {
      what: 'the host Service is adopted',
      timeoutMs: 20_000,
    });
    expect(copy.spec?.clusterIP).toBe(created.spec?.clusterIP);
  });

  it('that is denied by somebody else gives its address back', async () => {
    const expression = '!has(object.metadata.labels) || !("deny" in object.metadata.labels)';
    const policy = {
      metadata: { name: 'no-such-services' },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['services'] },
          ],
        },
        validations: [{ expression, message: 'not this one' }],
      },
    };
    const binding = {
      metadata: { name: 'no-such-services' },
      spec: { policyName: 'no-such-services', validationActions: ['Deny'] },
    };
    await inside().create(VALIDATING_ADMISSION_POLICIES, policy, call());
    await inside().create(VALIDATING_ADMISSION_POLICY_BINDINGS, binding, call());
    const before = await onHost();
    const denied = service({ ...named('denied'), labels: { deny: 'yes' } });
    // A policy takes effect a moment after it was made; what was let through until then goes again.
    const told = await eventually(
      async () => {
        const error = await inside()
          .create<Service>(SERVICES, denied, call())
          .then(
            () => undefined,
            (problem: Error) => problem,
          );
        if (error) return error.message;
        await inside().delete(SERVICES, named('denied'), call());
        return undefined;
      },
      { what: 'the Service is denied', timeoutMs: 20_000 },
    );
    expect(told).toContain('not this one');
    const left = async () => [...(await onHost()).keys()].filter((uid) => !before.has(uid));
    expect(await left()).not.toEqual([]);
    await eventually(async () => ((await left()).length === 0 ? true : undefined), {
      what: 'the reservation is given back',
      timeoutMs: 120_000,
    });
  });

  it('cannot be created while the syncer is dead, and can again when it lives', async () => {
    const name = `${CLUSTER}-0`;
    const stateOf = async () => {
      const pod = await work.host.client.get<Pod>(PODS, { namespace: work.hostNamespace, name }, call());
      return pod.status?.containerStatuses?.find((status) => status.name === 'syncer');
    };
    // A container that ends twice in a row is started again after ten seconds.
    await eventually(
      async () => {
        const { state, restartCount = 0 } = (await stateOf()) ?? {};
        if (restartCount > 0 && state?.waiting) return true;
        if (state?.running) {
          const exec = ['exec', '--namespace', work.hostNamespace, name, '--container', 'syncer', '--'];
          await work.host.kubectl([...exec, 'sh', '-c', 'kill -TERM 1']);
        }
        return undefined;
      },
      { what: 'the syncer is dead', timeoutMs: 60_000 },
    );
    await expect(inside().create(SERVICES, service(named('orphan')), call())).rejects.toThrow(
      /failed calling webhook/,
    );
    await inside().create(CONFIG_MAPS, { metadata: named('unconcerned') }, call());
    const created = await eventually(
      async () => inside().create<Service>(SERVICES, service(named('orphan')), call()),
      { what: 'the syncer lives again', timeoutMs: 60_000 },
    );
    const copy = await eventually(() => work.onHost<Service>(SERVICES, 'orphan'), {
      what: 'the host Service is adopted',
      timeoutMs: 20_000,
    });
    expect(copy.spec?.clusterIP).toBe(created.spec?.clusterIP);
  });
});
