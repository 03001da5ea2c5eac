// The waiting line of a work queue: each key once, in the order of arrival.

export interface KeyLine {
  readonly size: number;
  has(key: string): boolean;
  /** Does nothing when the key is in the line already. */
  push(key: string, sinceMs: number): void;
  shift(): { key: string; sinceMs: number } | undefined;
  remove(key: string): number | undefined;
  clear(): void;
}

/**
 * First in, first out, one place a key. A Map keeps the order, and one iterator stays at its front: making a new one for each
 * key would step over every removed entry again.
 */
export function createKeyLine(): KeyLine {
  const entries = new Map<string, number>();
  let front = entries.entries();
  return {
    get size() {
      return entries.size;
    },
    has: (key) => entries.has(key),
    push(key, sinceMs) {
      if (!entries.has(key)) entries.set(key, sinceMs);
    },
    shift() {
      let first = front.next();
      if (first.done) {
        front = entries.entries();
        first = front.next();
      }
      if (first.done) return undefined;
      const [key, sinceMs] = first.value;
      entries.delete(key);
      return { key, sinceMs };
    },
    remove(key) {
      const sinceMs = entries.get(key);
      entries.delete(key);
      return sinceMs;
    },
    clear: () => entries.clear(),
  };
}
