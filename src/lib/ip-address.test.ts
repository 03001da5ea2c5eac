import { describe, expect, it } from 'vitest';
import { canonicalAddress, isPublicAddress } from './ip-address.ts';

describe('canonicalAddress', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['fd00::1', 'fd00::1'],
    ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
  ])('spells %s as %s', (text, expected) => expect(canonicalAddress(text)).toBe(expected));

  it.each(['010.0.0.1', '0x7f.0.0.1', '2130706433', '127.1', '1.2.3', 'fe80::1%eth0', 'host', ''])(
    'knows %j is not an address',
    (text) => expect(canonicalAddress(text)).toBeUndefined(),
  );
});

describe('isPublicAddress', () => {
  it.each(['8.8.8.8', '93.184.216.34', '2606:4700::1111'])('accepts %s', (address) =>
    expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    '10.1.2.3',
    '127.0.0.1',
    '169.254.169.254',
    '172.31.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:8.8.8.8',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    'example.com',
  ])('refuses %s', (address) => expect(isPublicAddress(address)).toBe(false));
});
