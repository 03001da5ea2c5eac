// Whether two objects say the same on the wire, where an absent field, an undefined one and a null do not differ.

export function sameOnWire(one: unknown, other: unknown): boolean {
  if (one === other || (isAbsent(one) && isAbsent(other))) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    return (
      Array.isArray(one) &&
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((item, index) => sameOnWire(item, other[index]))
    );
  }
  const left = one as Record<string, unknown>;
  const right = other as Record<string, unknown>;
  for (const field in left) if (!sameOnWire(left[field], right[field])) return false;
  for (const field in right) if (isAbsent(left[field]) && !isAbsent(right[field])) return false;
  return true;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}
