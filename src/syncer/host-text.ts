// Text that the host wrote about an object, told with the names inside: it must not show where on the host a tenant lives.
import type { KubeObject } from '../kube/resource.ts';
import type { Reference, TranslationContext } from './kind.ts';
import { HOST_NAMES } from './names.ts';

/** The host's authorizer speaks of the syncer, whose name and rights on the host are nobody's business inside. */
export const OF_THE_SYNCER = /User "[^"]*" cannot/;

type Names = Pick<TranslationContext, 'hostName' | 'nameInside'>;

/**
 * A function that replaces, in text about `host`, its uid, name and namespace, the host names of what `virtual` refers to, be it
 * there or not, and those of all else that this cluster has on the host: a scheduler names other pods, a kubelet tokens.
 * @param references what `virtual` refers to; asked for only when there is text.
 */
export function createTeller(
  host: KubeObject,
  virtual: KubeObject,
  references: () => readonly Reference[],
  context: Names,
): (text: string) => string {
  let replacements: readonly Replacement[] | undefined;
  return (text) => {
    replacements ??= replacementsFor(host, virtual, references(), context);
    return replacements
      .reduce((told, { word, by }) => told.replace(word, () => by), text)
      .replace(HOST_NAMES, (name) => context.nameInside(name) ?? name);
  };
}

interface Replacement {
  word: RegExp;
  by: string;
}

function replacementsFor(
  host: KubeObject,
  virtual: KubeObject,
  references: readonly Reference[],
  context: Names,
): Replacement[] {
  const names: [string | undefined, string | undefined][] = [
    [host.metadata.uid, virtual.metadata.uid],
    [host.metadata.name, virtual.metadata.name],
    ...references.map((reference): [string, string] => [
      context.hostName(reference.type, reference),
      reference.name,
    ]),
    [host.metadata.namespace, virtual.metadata.namespace],
  ];
  return names.flatMap(([from, to]) => (from ? [{ word: wholeWord(from), by: to ?? '' }] : []));
}

/** Whole names only: a namespace `a` leaves the letter in other words alone. */
function wholeWord(word: string): RegExp {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![A-Za-z0-9-])${escaped}(?![A-Za-z0-9-])`, 'g');
}
