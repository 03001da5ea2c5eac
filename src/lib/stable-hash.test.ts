import { describe, expect, test } from 'vitest';
import { base32, stableHash } from './stable-hash.ts';

describe('base32', () => {
  // The first is a vector of RFC 4648, section 10.
  test.each([
    ['fooba', 'mzxw6ytb'],
    ['foobarfoob', 'mzxw6ytbojtg633c'],
  ])('encodes %s as RFC 4648 does', (input, expected) => {
    expect(base32(Buffer.from(input))).toBe(expected);
  });
});

describe('stableHash', () => {
  test('is the same for the same parts and has the length asked for', () => {
    expect(stableHash(['a', 'b'], 10)).toBe(stableHash(['a', 'b'], 10));
    expect(stableHash(['a', 'b'], 10)).toMatch(/^[a-z2-7]{10}$/);
    expect(stableHash(['a'], 51)).toHaveLength(51);
  });

  test('differs when the same characters are split in another way', () => {
    expect(stableHash(['ab', 'c'], 10)).not.toBe(stableHash(['a', 'bc'], 10));
    expect(stableHash(['a', ''], 10)).not.toBe(stableHash(['a'], 10));
  });
});
