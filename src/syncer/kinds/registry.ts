// Every kind there is: copied from the virtual cluster to the host, or shown inside because the host has it.
// Adding one: see docs/spec/adding-a-kind.md.
import type { KubeObject } from '../../kube/resource.ts';
import type { UpwardKind } from '../engine/upward.ts';
import type { SyncedKind } from '../kind.ts';
import { configMaps } from './config-maps/kind.ts';
import { csiDrivers } from './csi-drivers/kind.ts';
import { csiNodes } from './csi-nodes/kind.ts';
import { csiStorageCapacities } from './csi-storage-capacities/kind.ts';
import { endpointSlices } from './endpoint-slices/kind.ts';
import { httpRoutes } from './http-routes/kind.ts';
import { ingressClasses } from './ingress-classes/kind.ts';
import { ingresses } from './ingresses/kind.ts';
import { networkPolicies } from './network-policies/kind.ts';
import { nodes } from './nodes/kind.ts';
import { persistentVolumeClaims } from './persistent-volume-claims/kind.ts';
import { persistentVolumes } from './persistent-volumes/kind.ts';
import { podDisruptionBudgets } from './pod-disruption-budgets/kind.ts';
import { pods } from './pods/kind.ts';
import { priorityClasses } from './priority-classes/kind.ts';
import { runtimeClasses } from './runtime-classes/kind.ts';
import { secrets } from './secrets/kind.ts';
import { serviceAccounts } from './service-accounts/kind.ts';
import { services } from './services/kind.ts';
import { storageClasses } from './storage-classes/kind.ts';
import { volumeSnapshotClasses } from './volume-snapshot-classes/kind.ts';
import { volumeSnapshots } from './volume-snapshots/kind.ts';

/** A kind of some object; only the engine handles kinds without knowing which. */
export type AnyKind = SyncedKind<KubeObject>;
export type AnyUpwardKind = UpwardKind<KubeObject>;

/** The engine gives each kind only objects of its own type, which the compiler cannot see in a list of different kinds. */
function kind<T extends KubeObject>(synced: SyncedKind<T>): AnyKind {
  return synced as unknown as AnyKind;
}

export const KINDS: readonly AnyKind[] = [
  kind(configMaps),
  kind(secrets),
  kind(services),
  kind(endpointSlices),
  kind(persistentVolumeClaims),
  kind(volumeSnapshots),
  kind(pods),
  kind(networkPolicies),
  kind(ingresses),
  kind(serviceAccounts),
  kind(httpRoutes),
  kind(podDisruptionBudgets),
];

function upward<T extends KubeObject>(shown: UpwardKind<T>): AnyUpwardKind {
  return shown as unknown as AnyUpwardKind;
}

export const UPWARD_KINDS: readonly AnyUpwardKind[] = [
  upward(nodes),
  upward(persistentVolumes),
  upward(storageClasses),
  upward(csiDrivers),
  upward(csiNodes),
  upward(csiStorageCapacities),
  upward(volumeSnapshotClasses),
  upward(ingressClasses),
  upward(runtimeClasses),
  upward(priorityClasses),
];
