// How much at once: a bounded number of workers over a bounded list.

/** As many requests as a busy client keeps in flight. */
const WORKERS = 24;

export async function forEachAtOnce<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const work = async () => {
    for (const item of left) await act(item);
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
}

/** `bench-<kind>-<i>`, from `first` on. */
export function benchNames(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `bench-${kind}-${index}`);
}
