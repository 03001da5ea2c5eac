// The kinds that a configuration adds to those of the registry.
import type { CustomResource } from '../../kind.ts';
import type { AnyKind, AnyUpwardKind } from '../registry.ts';
import { customResourceFromHost } from './from-host.ts';
import { customResourceToHost } from './to-host.ts';

export function customKinds(resources: readonly CustomResource[]): AnyKind[] {
  return resources.flatMap((resource) =>
    resource.direction === 'toHost' ? [customResourceToHost(resource, resources) as unknown as AnyKind] : [],
  );
}

export function customUpwardKinds(resources: readonly CustomResource[]): AnyUpwardKind[] {
  return resources.flatMap((resource) =>
    resource.direction === 'fromHost' ? [customResourceFromHost(resource) as unknown as AnyUpwardKind] : [],
  );
}
