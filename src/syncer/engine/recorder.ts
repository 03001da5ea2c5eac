// Events of the syncer's own on virtual objects: what was refused, left out, or does not succeed. Each is said once.
import type { KubeClient } from '../../kube/client.ts';
import { apiVersionOf, EVENTS, type KubeObject, type ResourceType } from '../../kube/resource.ts';
import type { Clock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Event } from '../objects.ts';
import { createRateLimit } from './rate-limit.ts';

const COMPONENT = 'mayfly-syncer';
/** Objects and reasons of which warnings are remembered; beyond, the oldest may be told again. */
const REMEMBERED = 2_000;
/** Warnings of one reason that an object may have at once. */
const REMEMBERED_EACH = 50;
const MESSAGE_LENGTH = 1_024;
const NAME_LENGTH = 200;

export interface Warning {
  /** In PascalCase. */
  reason: string;
  message: string;
  /** What makes two warnings the same one, where messages hold changing figures. Default: the message. */
  sameAs?: string;
}

export interface Recorder {
  /** Never rejects: an event that cannot be written is logged. */
  warn(type: ResourceType, object: KubeObject, warning: Warning, signal: AbortSignal): Promise<void>;
  /** What failed has succeeded since: if it fails again, that is told again. */
  recovered(object: KubeObject, reason: string): void;
}

export function createRecorder({
  client,
  clock,
  logger,
}: {
  client: Pick<KubeClient, 'create'>;
  clock: Clock;
  logger: Logger;
}): Recorder {
  const told = new Map<string, Set<string>>();
  const limit = createRateLimit({ perSecond: 20, burst: 200, clock });
  const id = ({ metadata }: KubeObject, reason: string) => `${metadata.uid}/${reason}`;

  return {
    async warn(type, object, { reason, message, sameAs = message }, signal) {
      const key = id(object, reason);
      const before = told.get(key) ?? new Set();
      if (before.has(sameAs) || before.size >= REMEMBERED_EACH) return;
      told.delete(key);
      told.set(key, before.add(sameAs));
      const [oldest] = told.keys();
      if (told.size > REMEMBERED && oldest !== undefined) told.delete(oldest);
      if (!limit.take()) return;
      const now = new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z');
      const { name = '', namespace, uid, resourceVersion } = object.metadata;
      const event: Event = {
        metadata: { generateName: `${name.slice(0, NAME_LENGTH)}.`, namespace: namespace ?? 'default' },
        involvedObject: {
          apiVersion: apiVersionOf(type),
          kind: type.kind,
          namespace,
          name,
          uid,
          resourceVersion,
        },
        type: 'Warning',
        reason,
        message: message.slice(0, MESSAGE_LENGTH),
        source: { component: COMPONENT },
        reportingComponent: COMPONENT,
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      };
      try {
        await client.create(EVENTS, event, { signal });
      } catch (error) {
        logger.warn({ reason, problem: errorMessage(error) }, 'an event was not recorded');
      }
    },
    recovered: (object, reason) => void told.delete(id(object, reason)),
  };
}
