// The host's CSIDrivers inside: what their volumes can do.
import { CSI_DRIVERS } from '../../../kube/resource.ts';
import { fields, list, scalar } from '../../allow-list.ts';
import type { CsiDriver } from '../../objects.ts';
import { hostClass } from '../host-class.ts';

export const csiDrivers = hostClass<CsiDriver>({
  type: CSI_DRIVERS,
  copy: fields<CsiDriver>({
    // Not the audiences of tokens that it gets: those are of the host's API.
    spec: fields<CsiDriver['spec']>({
      attachRequired: scalar,
      fsGroupPolicy: scalar,
      podInfoOnMount: scalar,
      requiresRepublish: scalar,
      seLinuxMount: scalar,
      storageCapacity: scalar,
      volumeLifecycleModes: list(scalar),
    }),
  }),
});
