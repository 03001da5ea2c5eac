// Text that the host wrote about an object, told with the names inside: it may not show where on the host a tenant lives.
import type { KubeObject } from '../kube/resource.ts';

/** `text` with the host object's uid, name and namespace replaced by the virtual ones. */
export function toVirtualText(text: string, host: KubeObject, virtual: KubeObject): string {
  const replacements: [string | undefined, string | undefined][] = [
    [host.metadata.uid, virtual.metadata.uid],
    [host.metadata.name, virtual.metadata.name],
    [host.metadata.namespace, virtual.metadata.namespace],
  ];
  return replacements.reduce((told, [from, to]) => (from ? replaceWord(told, from, to ?? '') : told), text);
}

/** Whole names only: a namespace `a` leaves the letter in other words alone. */
function replaceWord(text: string, word: string, replacement: string): string {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(new RegExp(`(?<![A-Za-z0-9-])${escaped}(?![A-Za-z0-9-])`, 'g'), () => replacement);
}
