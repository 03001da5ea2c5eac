import { expect, it } from 'vitest';
import type { CsiDriver } from '../../objects.ts';
import { csiDrivers } from './kind.ts';

it('shows what the volumes of a CSIDriver can do, and not the tokens that it gets (T16)', () => {
  const host: CsiDriver = {
    metadata: { name: 'csi.example.com', annotations: { 'example.com/x': 'y' } },
    spec: {
      attachRequired: true,
      fsGroupPolicy: 'File',
      volumeLifecycleModes: ['Persistent'],
      tokenRequests: [{ audience: 'vault.example.com' }],
    },
  };
  expect(csiDrivers.toVirtual(host, undefined)).toEqual({
    metadata: { name: 'csi.example.com', annotations: {} },
    spec: { attachRequired: true, fsGroupPolicy: 'File', volumeLifecycleModes: ['Persistent'] },
  });
});
