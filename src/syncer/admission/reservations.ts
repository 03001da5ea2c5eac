// Reserves cluster IPs and node ports on the host, and gives back those whose virtual Service never came: its request may have been
// refused by something after us, or the syncer may have died in between.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound, KubeError } from '../../kube/errors.ts';
import { type ObjectName, SERVICES } from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { Clock } from '../../lib/clock.ts';
import { ConflictError, errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { createTeller } from '../host-text.ts';
import type { TranslationContext } from '../kind.ts';
import { clusterIpsOf } from '../kinds/services/kind.ts';
import { ANNOTATION_AHEAD_OF } from '../names.ts';
import type { Service } from '../objects.ts';
import { servicesAt } from '../stores.ts';
import { hostChangeFor } from './host-change.ts';
import {
  isReservation,
  needOf,
  nodePortPatchFor,
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
  context: Pick<TranslationContext, 'hostName' | 'nameInside'>;
  clock: Clock;
  logger: Logger;
}

export interface Reservations {
  /**
   * What the virtual Service has to be told for the request to pass.
   * @throws KubeError when the host refuses, ConflictError when the Service is not on the host yet, UnavailableError.
   */
  admit(request: ServiceRequest, signal: AbortSignal): Promise<PatchOperation[]>;
  /** Deletes what nobody adopted, and lets go of what is held for an update that did not come, until aborted. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** Less than the five seconds after which the API server gives up on the webhook. */
const HOST_TIMEOUT_MS = 4000;
const ADOPTION_MS = 60_000;
const SWEEP_INTERVAL_MS = 15_000;

export function createReservations(deps: ReservationsDeps): Reservations {
  const { client, stores, facts, context, clock, logger } = deps;
  /** When the sweep first saw a reservation, or a Service held for an update. The annotation tells wall-clock time, which jumps. */
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

  /** Gives the host Service what the update is about to ask for, and holds it there until the update is seen. */
  async function change(request: ServiceRequest, signal: AbortSignal): Promise<PatchOperation[]> {
    const { object, oldObject } = request;
    const [address] = oldObject ? clusterIpsOf(oldObject) : [];
    const [host] = address ? servicesAt(stores.host.services, address) : [];
    const spec = hostChangeFor(request, host);
    if (!spec) return [];
    // What is not adopted yet would be adopted as it is asked for inside now, before the update.
    if (!host || isReservation(host))
      throw new ConflictError({
        code: 'NotOnHost',
        message: 'the Service is not on the host yet; try again',
      });
    const annotations = { [ANNOTATION_AHEAD_OF]: oldObject?.metadata.resourceVersion };
    try {
      const changed = await client.patch<Service>(
        SERVICES,
        nameOf(host),
        { type: 'merge', body: { metadata: { annotations }, spec } },
        { signal, timeoutMs: HOST_TIMEOUT_MS },
      );
      return needOf(request) === 'second-family'
        ? patchFor(request, changed)
        : nodePortPatchFor(request, changed);
    } catch (error) {
      throw toldWith(
        createTeller(host, object, () => [], context),
        error,
      );
    }
  }

  async function sweep(signal: AbortSignal): Promise<void> {
    const seenMs = new Map<string, number>();
    for (const service of stores.host.services.list()) {
      const { uid, resourceVersion, annotations } = service.metadata;
      const isHeld = annotations?.[ANNOTATION_AHEAD_OF] !== undefined;
      const isUnwanted = isReservation(service) && !isWanted(service);
      if (!uid || !(isHeld || isUnwanted)) continue;
      // One that is held for another update since has its minute anew.
      const id = `${uid} ${annotations?.[ANNOTATION_AHEAD_OF] ?? ''}`;
      const sinceMs = firstSeenMs.get(id) ?? clock.monotonicMs();
      seenMs.set(id, sinceMs);
      if (clock.monotonicMs() - sinceMs < ADOPTION_MS) continue;
      try {
        // The version: whoever adopts or changes it in this moment wins.
        if (isHeld) await release(service, signal);
        else
          await client.delete(SERVICES, nameOf(service), { preconditions: { uid, resourceVersion }, signal });
      } catch (error) {
        if (signal.aborted) return;
        if (isNotFound(error) || isConflict(error)) continue;
        logger.warn({ reason: errorMessage(error) }, 'cannot give back a reserved address or port');
      }
    }
    firstSeenMs = seenMs;
  }

  /** What the update did not keep is then taken back, as all that differs. */
  async function release(service: Service, signal: AbortSignal): Promise<void> {
    const { resourceVersion } = service.metadata;
    const metadata = { resourceVersion, annotations: { [ANNOTATION_AHEAD_OF]: null } };
    await client.patch(SERVICES, nameOf(service), { type: 'merge', body: { metadata } }, { signal });
  }

  function isWanted(reservation: Service): boolean {
    return clusterIpsOf(reservation).some(
      (address) => servicesAt(stores.virtual.services, address).length > 0,
    );
  }

  return {
    async admit(request, signal) {
      if (request.dryRun) return [];
      if (needOf(request) === 'reservation') return patchFor(request, await reserve(request, signal));
      return change(request, signal);
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

function toldWith(tell: (text: string) => string, error: unknown): unknown {
  if (!(error instanceof KubeError)) return error;
  const { status, reason, message, details, retryAfterMs } = error;
  return new KubeError({ status, reason, message: tell(message), details, retryAfterMs });
}
