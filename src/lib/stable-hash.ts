// A short, name-safe hash over several parts, for names that must be the same whenever they are derived again.
import { createHash } from 'node:crypto';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * The first `length` characters (at most 51; 5 bits each) of the SHA-256 over `parts` in lower-case base32 (the alphabet of
 * RFC 4648), which any DNS label may hold. Each part is hashed with its length, so `['ab', 'c']` and `['a', 'bc']` differ.
 */
export function stableHash(parts: readonly string[], length: number): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return base32(hash.digest()).slice(0, length);
}

/** Lower-case base32 without padding; bits that do not fill a character are dropped. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((value >> bits) & 31);
    }
  }
  return text;
}
