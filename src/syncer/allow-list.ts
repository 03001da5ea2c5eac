// Copying by allow-list: a copier names every field it lets through, to the leaves; all others stay behind.

/** Copies what it knows of a value; undefined when nothing of it may pass. */
export type Copier<T> = (value: T) => T | undefined;

export type FieldCopiers<T> = { readonly [Field in keyof T]?: Copier<NonNullable<T[Field]>> };

/** A string, number or boolean as it is; anything with structure stays behind. */
export function scalar<T>(value: T): T | undefined {
  return typeof value === 'object' || typeof value === 'function' ? undefined : value;
}

/** A map from free keys to scalars: label selectors, resource quantities. */
export function dictionary<T>(value: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => scalar(item) !== undefined));
}

export function list<T>(copy: Copier<T>): Copier<T[]> {
  return (values) =>
    values.map(copy).filter((item): item is NonNullable<typeof item> => item !== undefined) as T[];
}

/** An object with the listed fields only. */
export function fields<T extends object>(copiers: FieldCopiers<T>): (value: T) => T {
  const entries = Object.entries(copiers) as [keyof T & string, Copier<unknown>][];
  return (value) => {
    const copy: Partial<Record<keyof T, unknown>> = {};
    for (const [field, copyField] of entries) {
      const present = value[field];
      if (present === undefined || present === null) continue;
      const copied = copyField(present);
      if (copied !== undefined) copy[field] = copied;
    }
    return copy as T;
  };
}

/** The object without the fields that are undefined. */
export function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
