// Installs the host's definitions of the custom resources that are synced, where the virtual cluster has none, in the version that
// is synced, and follows their changes. What somebody else made is left alone.
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isForbidden, isNotFound, isRetryable } from '../kube/errors.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, type KubeObject } from '../kube/resource.ts';
import { type Backoff, backoffDelayMs } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { defined } from './allow-list.ts';
import type { CustomResource } from './kind.ts';
import { ANNOTATION_SPEC_HASH } from './names.ts';
import { hashOf } from './spec-hash.ts';

interface Version {
  name: string;
  [field: string]: unknown;
}

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    scope: string;
    names: Record<string, unknown>;
    versions: Version[];
  };
}

export interface DefinitionsDeps {
  host: Pick<KubeClient, 'get'>;
  virtual: Pick<KubeClient, 'create' | 'get' | 'update'>;
  resources: readonly CustomResource[];
  logger: Logger;
  clock: Clock;
}

/** How often it is looked whether a definition has come to the host, or has changed there. */
const LOOK_MS = 20_000;
/** The virtual API may only be coming up. */
const RETRY: Backoff = { baseMs: 1_000, maxMs: LOOK_MS };
/** Without it the API takes no kinds of groups below k8s.io. */
const APPROVED = 'api-approved.kubernetes.io';

/** Until aborted, or until there is none left that can be read and is ours. Never rejects. */
export async function followDefinitions(deps: DefinitionsDeps, signal: AbortSignal): Promise<void> {
  await Promise.all(deps.resources.map((resource) => follow(resource, deps, signal)));
}

async function follow(
  resource: CustomResource,
  { host, virtual, logger, clock }: DefinitionsDeps,
  signal: AbortSignal,
): Promise<void> {
  const name = { name: `${resource.plural}.${resource.group}` };
  const definition = name.name;
  let isInstalled = false;
  let told: string | undefined;

  /** @returns nothing when it may not be read. */
  async function readHost(): Promise<CustomResourceDefinition | undefined> {
    try {
      return await host.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, name, { signal });
    } catch (error) {
      if (!isForbidden(error)) throw error;
      logger.warn({ definition }, 'the definition of the host may not be read; install it inside by hand');
      return undefined;
    }
  }

  /** @returns whether to go on. */
  async function look(): Promise<boolean> {
    const found = await readHost();
    if (!found) return false;
    const desired = definitionInside(found, resource.version);
    if (!desired) {
      tell(`the host has no version ${resource.version}`);
      return true;
    }
    if (!isInstalled) {
      const isNew = await install(desired);
      isInstalled = true;
      if (isNew) return true;
    }
    const inside = await virtual.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, name, { signal });
    const written = inside.metadata.annotations?.[ANNOTATION_SPEC_HASH];
    if (written === undefined) return false;
    if (written !== desired.metadata.annotations?.[ANNOTATION_SPEC_HASH]) {
      const annotations = { ...inside.metadata.annotations, ...desired.metadata.annotations };
      const changed = { ...inside, metadata: { ...inside.metadata, annotations }, spec: desired.spec };
      await virtual.update(CUSTOM_RESOURCE_DEFINITIONS, changed, { signal });
      logger.info({ definition }, 'the definition is changed as the host’s was');
    }
    told = undefined;
    return true;
  }

  /** @returns false: there is one already. */
  async function install(desired: CustomResourceDefinition): Promise<boolean> {
    try {
      await virtual.create(CUSTOM_RESOURCE_DEFINITIONS, desired, { signal });
    } catch (error) {
      if (isAlreadyExists(error)) return false;
      throw error;
    }
    logger.info({ definition }, 'the definition of the host is installed');
    return true;
  }

  function tell(reason: string): void {
    if (told !== reason) logger.warn({ definition, reason }, 'the definition inside is not the host’s');
    told = reason;
  }

  let failures = 0;
  while (!signal.aborted) {
    let delayMs = LOOK_MS;
    try {
      if (!(await look())) return;
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (isRetryable(error) || isConflict(error)) delayMs = backoffDelayMs(RETRY, failures++);
      // Absent on the host it may come yet; removed inside it stays so.
      else if (!isNotFound(error)) tell(errorMessage(error));
      logger.debug({ definition, reason: errorMessage(error) }, 'the definition cannot be followed now');
    }
    await clock.sleep(delayMs, signal).catch(() => {});
  }
}

/** One version, so that nothing has to be converted; undefined when the host has another. */
function definitionInside(
  { metadata, spec: { group, scope, names, versions } }: CustomResourceDefinition,
  wanted: string,
): CustomResourceDefinition | undefined {
  const version = versions.find(({ name }) => name === wanted);
  if (!version) return undefined;
  const { plural, singular, kind, listKind, shortNames, categories } = names;
  const approved = metadata.annotations?.[APPROVED];
  const spec = {
    group,
    scope,
    names: defined({ plural, singular, kind, listKind, shortNames, categories }),
    versions: [
      defined({
        name: version.name,
        served: true,
        storage: true,
        schema: version.schema,
        subresources: version.subresources,
        additionalPrinterColumns: version.additionalPrinterColumns,
        selectableFields: version.selectableFields,
      }),
    ],
  };
  const annotations = { [ANNOTATION_SPEC_HASH]: hashOf(spec), ...(approved && { [APPROVED]: approved }) };
  return { metadata: { name: metadata.name, annotations }, spec };
}
