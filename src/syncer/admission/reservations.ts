// Reserves cluster IPs on the host, and gives back those whose virtual Service never came: its request may have been refused
// by something after us, or the syncer may have died in between.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts';
import { type ObjectName, SERVICES } from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { Clock } from '../../lib/clock.ts';
import { ConflictError, errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { clusterIpsOf } from '../kinds/services/kind.ts';
import type { Service } from '../objects.ts';
import { INDEX } from '../stores.ts';
import {
  isReservation,
  needOf,
  type PatchOperation,
  patchFor,
  type ReservationFacts,
  reservationFor,
  type ServiceRequest,
} from './reservation.ts';

export interface ReservationsDeps {
  /** Of the host. */
  client: Pick<KubeClient, 'get' | 'create' | 'patch' | 'delete'>;
  stores: {
    host: { services: Pick<ReadStore<Service>, 'list' | 'byIndex'> };
    virtual: { services: Pick<ReadStore<Service>, 'byIndex'> };
  };
  facts: ReservationFacts;
  clock: Clock;
  logger: Logger;
}

export interface Reservations {
  /**
   * What the virtual Service has to be told for the request to pass.
   * @throws KubeError when the host refuses, ConflictError when the Service is not on the host yet, UnavailableError.
   */
  admit(request: ServiceRequest, signal: AbortSignal): Promise<PatchOperation[]>;
  /** Deletes what nobody adopted, until aborted. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** Less than the five seconds after which the API server gives up on the webhook. */
const HOST_TIMEOUT_MS = 4000;
const ADOPTION_MS = 60_000;
const SWEEP_INTERVAL_MS = 15_000;

export function createReservations({ client, stores, facts, clock, logger }: ReservationsDeps): Reservations {
  /** By uid: when the sweep first saw a reservation. Its annotation tells wall-clock time, which jumps. */
  let firstSeenMs = new Map<string, number>();

  async function reserve(request: ServiceRequest, signal: AbortSignal): Promise<Service> {
    const reservation = reservationFor(request, facts, new Date(clock.nowMs()).toISOString());
    const options = { signal, timeoutMs: HOST_TIMEOUT_MS };
    try {
      return await client.create(SERVICES, reservation, options);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      // The API server asked again after it lost our answer; the uid of the request is the same.
      const existing = await client.get<Service>(SERVICES, nameOf(reservation), options);
      if (isReservation(existing)) return existing;
      throw new ConflictError({
        code: 'ReservationTaken',
        message: 'the reserved Service was adopted already',
        cause: error,
      });
    }
  }

  async function addFamily({ object, oldObject }: ServiceRequest, signal: AbortSignal): Promise<Service> {
    const [address = ''] = oldObject ? clusterIpsOf(oldObject) : [];
    const host = stores.host.services.byIndex(INDEX.byClusterIp, address)[0];
    if (!host)
      throw new ConflictError({
        code: 'NotOnHost',
        message: 'the Service is not on the host yet; try again',
      });
    const { ipFamilyPolicy, ipFamilies = [], clusterIPs = [] } = object.spec ?? {};
    const asked = {
      ...(ipFamilies.length > 1 && { ipFamilies }),
      ...(clusterIPs.length > 1 && { clusterIPs }),
    };
    const spec = { ipFamilyPolicy, ...asked };
    return client.patch(
      SERVICES,
      nameOf(host),
      { type: 'merge', body: { spec } },
      { signal, timeoutMs: HOST_TIMEOUT_MS },
    );
  }

  async function sweep(signal: AbortSignal): Promise<void> {
    const seenMs = new Map<string, number>();
    for (const service of stores.host.services.list()) {
      const { uid, resourceVersion } = service.metadata;
      if (!uid || !isReservation(service) || isWanted(service)) continue;
      const sinceMs = firstSeenMs.get(uid) ?? clock.monotonicMs();
      seenMs.set(uid, sinceMs);
      if (clock.monotonicMs() - sinceMs < ADOPTION_MS) continue;
      try {
        // The version: whoever adopts it in this moment wins.
        await client.delete(SERVICES, nameOf(service), { preconditions: { uid, resourceVersion }, signal });
      } catch (error) {
        if (signal.aborted) return;
        if (isNotFound(error) || isConflict(error)) continue;
        logger.warn({ reason: errorMessage(error) }, 'cannot give back a reserved cluster IP');
      }
    }
    firstSeenMs = seenMs;
  }

  function isWanted(reservation: Service): boolean {
    return clusterIpsOf(reservation).some(
      (address) => stores.virtual.services.byIndex(INDEX.byClusterIp, address).length > 0,
    );
  }

  return {
    async admit(request, signal) {
      const need = needOf(request);
      if (need === 'nothing' || request.dryRun) return [];
      const host = need === 'reservation' ? await reserve(request, signal) : await addFamily(request, signal);
      return patchFor(request, host);
    },
    async run(signal) {
      while (!signal.aborted) {
        await sweep(signal);
        await clock.sleep(SWEEP_INTERVAL_MS, signal).catch(() => {});
      }
    },
  };
}

function nameOf({ metadata: { namespace, name = '' } }: Service): ObjectName {
  return { namespace, name };
}
