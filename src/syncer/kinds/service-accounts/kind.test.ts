import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { PODS, SERVICE_ACCOUNTS } from '../../../kube/resource.ts';
import type { SyncOptions } from '../../kind.ts';
import type { ServiceAccount } from '../../objects.ts';
import { KINDS } from '../registry.ts';
import { serviceAccounts } from './kind.ts';

const { sync } = translationContext();
const wanted: SyncOptions = {
  ...sync,
  serviceAccounts: { enabled: true, annotations: ['cloud.example.com/role'] },
};
const builder: ServiceAccount = {
  metadata: {
    namespace: 'default',
    name: 'builder',
    annotations: { 'cloud.example.com/role': 'reader', 'example.com/other': 'x' },
  },
  secrets: [{ name: 'token' }],
  imagePullSecrets: [{ name: 'pull' }],
  automountServiceAccountToken: true,
};

describe('a ServiceAccount on the host', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const start = (options: SyncOptions) =>
    startSyncer({
      facts: translationContext({}, { sync: options }),
      kinds: KINDS.filter((kind) => kind.isWanted?.(options) ?? true),
    });
  const copy = () =>
    syncer.host.get<ServiceAccount>(SERVICE_ACCOUNTS, hostKey('serviceaccounts', 'default/builder'));

  it('is a name with the annotations that the operator lists: no Secrets and no token (T7)', () => {
    expect(serviceAccounts.toHost(builder, translationContext({}, { sync: wanted }))).toEqual({
      metadata: {
        annotations: {
          'cloud.example.com/role': 'reader',
          'mayfly.dev/passed-annotations': 'cloud.example.com/role',
        },
      },
      automountServiceAccountToken: false,
    });
  });

  it('is there by option, while a pod runs under it', async () => {
    syncer = await start(wanted);
    syncer.virtual.put(SERVICE_ACCOUNTS, builder);
    await syncer.quiet();
    expect(copy()).toBeUndefined();
    syncer.virtual.put(PODS, podNamed('default/web', { serviceAccountName: 'builder' }));
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    const pod = podOnHost(syncer.host, 'default/web')?.spec;
    expect(pod?.serviceAccountName).toBe(copy()?.metadata.name);
    expect(pod?.automountServiceAccountToken).toBe(false);
  });

  it('is not there without the option, and its kind is not even watched', async () => {
    syncer = await start(sync);
    syncer.virtual.put(SERVICE_ACCOUNTS, builder);
    syncer.virtual.put(PODS, podNamed('default/web', { serviceAccountName: 'builder' }));
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    expect(podOnHost(syncer.host, 'default/web')?.spec?.serviceAccountName).toBe('vc-workload');
    expect(syncer.host.requests.filter(({ type }) => type === SERVICE_ACCOUNTS)).toEqual([]);
  });
});
