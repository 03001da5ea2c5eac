// When things were first seen: one monotonic clock, one entry a name.

export interface Timeline {
  /** Notes the time, unless the name has one. */
  mark(name: string): void;
  /** Milliseconds of `performance.now()`. @throws Error when it was never marked. */
  at(name: string): number;
  readonly size: number;
  /** When the newest mark was made. */
  lastMs(): number;
  /** Resolves once `count` names are marked. @throws Error saying how many were after `timeoutMs`. */
  reaches(count: number, timeoutMs: number): Promise<void>;
}

export function createTimeline(): Timeline {
  const times = new Map<string, number>();
  let newestMs = 0;
  const waiting = new Set<() => void>();
  return {
    mark(name) {
      if (times.has(name)) return;
      newestMs = performance.now();
      times.set(name, newestMs);
      for (const look of waiting) look();
    },
    at(name) {
      const time = times.get(name);
      if (time === undefined) throw new Error(`${name} was never seen`);
      return time;
    },
    get size() {
      return times.size;
    },
    lastMs: () => newestMs,
    async reaches(count, timeoutMs) {
      const reached = Promise.withResolvers<void>();
      const look = () => {
        if (times.size >= count) reached.resolve();
      };
      const timer = setTimeout(
        () => reached.reject(new Error(`${times.size} of ${count} were seen within ${timeoutMs} ms`)),
        timeoutMs,
      );
      waiting.add(look);
      look();
      try {
        await reached.promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(look);
      }
    },
  };
}
