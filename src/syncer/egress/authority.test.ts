import { describe, expect, it } from 'vitest';
import { formatAuthority, parseAuthority } from './authority.ts';

describe('parseAuthority', () => {
  it.each([
    ['10.0.0.1:443', { host: '10.0.0.1', isAddress: true, port: 443 }],
    ['[fd00::1]:8443', { host: 'fd00::1', isAddress: true, port: 8443 }],
    ['hooks.example.com:443', { host: 'hooks.example.com', isAddress: false, port: 443 }],
  ])('reads %s, and writes it back', (text, expected) => {
    expect(parseAuthority(text)).toEqual(expected);
    expect(formatAuthority(expected)).toBe(text);
  });

  it.each([
    '',
    '10.0.0.1',
    '10.0.0.1:',
    '10.0.0.1:0',
    '10.0.0.1:0443',
    '10.0.0.1:65536',
    '10.0.0.1:+443',
    '010.0.0.1:443',
    '10.1:443',
    '0x7f.0.0.1:443',
    '0x7f000001:443',
    '2130706433:443',
    'fd00::1:443',
    '[10.0.0.1]:443',
    '[FD00::1]:443',
    '[fd00:0::1]:443',
    '[fe80::1%eth0]:443',
    '[::ffff:0a00:0001]:443',
    'Hooks.example.com:443',
    'hooks.example.com.:443',
    'hooks..example.com:443',
    '-hooks.example.com:443',
    'user@hooks.example.com:443',
    'http://hooks.example.com:443',
    'hooks.example.com:443/path',
    'hooks.example.com:443 ',
    ' hooks.example.com:443',
    'hooks.example.com\u0000:443',
    'h\u00f6\u00f6ks.example.com:443',
  ])('refuses %j', (text) => expect(parseAuthority(text)).toBeUndefined());
});
