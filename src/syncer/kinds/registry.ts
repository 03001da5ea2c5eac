// Every kind that is copied from the virtual cluster to the host. Adding one: see docs/spec/adding-a-kind.md.
import type { KubeObject } from '../../kube/resource.ts';
import type { SyncedKind } from '../kind.ts';
import { configMaps } from './config-maps/kind.ts';
import { endpointSlices } from './endpoint-slices/kind.ts';
import { pods } from './pods/kind.ts';
import { secrets } from './secrets/kind.ts';
import { services } from './services/kind.ts';

/** A kind of some object; only the engine handles kinds without knowing which. */
export type AnyKind = SyncedKind<KubeObject>;

/** The engine gives each kind only objects of its own type, which the compiler cannot see in a list of different kinds. */
function kind<T extends KubeObject>(synced: SyncedKind<T>): AnyKind {
  return synced as unknown as AnyKind;
}

export const KINDS: readonly AnyKind[] = [
  kind(configMaps),
  kind(secrets),
  kind(services),
  kind(endpointSlices),
  kind(pods),
];
