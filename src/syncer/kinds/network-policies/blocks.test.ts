import { describe, expect, it } from 'vitest';
import { RefusedError } from '../../kind.ts';
import { addressesIn, everythingBut, isEverything, withoutRanges } from './blocks.ts';

const DENIED = ['169.254.0.0/16', '10.0.0.0/8', 'fc00::/7'];

describe('a block without denied ranges', () => {
  it.each([
    ['one that has nothing to do with them', { cidr: '203.0.113.0/24' }, { cidr: '203.0.113.0/24' }],
    [
      'one around them',
      { cidr: '0.0.0.0/0' },
      { cidr: '0.0.0.0/0', except: ['169.254.0.0/16', '10.0.0.0/8'] },
    ],
    ['one within them', { cidr: '10.1.0.0/16' }, undefined],
    ['one equal to one of them', { cidr: '10.0.0.0/8' }, undefined],
    ['one address within them', { cidr: '169.254.169.254/32' }, undefined],
    ['one with bits behind its prefix', { cidr: '203.0.113.77/24' }, { cidr: '203.0.113.0/24' }],
    ['leading zeros, which are decimal', { cidr: '010.001.0.0/16' }, undefined],
    ['IPv4 in the spelling of IPv6', { cidr: '::ffff:10.1.0.0/112' }, undefined],
    ['the same in hexadecimal', { cidr: '::ffff:a9fe:a9fe/128' }, undefined],
    [
      'exceptions of its own',
      { cidr: '8.0.0.0/6', except: ['9.0.0.0/8', '10.9.0.0/16'] },
      { cidr: '8.0.0.0/6', except: ['9.0.0.0/8', '10.0.0.0/8'] },
    ],
    [
      'an exception twice',
      { cidr: '8.0.0.0/6', except: ['9.0.0.0/8', '9.0.0.0/8'] },
      { cidr: '8.0.0.0/6', except: ['9.0.0.0/8', '10.0.0.0/8'] },
    ],
    ['IPv6', { cidr: '2001:db8:0::/48' }, { cidr: '2001:db8::/48' }],
    ['IPv6 around a denied range', { cidr: '::/0' }, { cidr: '::/0', except: ['fc00::/7'] }],
    ['IPv6 within a denied range', { cidr: 'fd00:ec2::254/128' }, undefined],
  ])('%s', (_, block, expected) => {
    expect(withoutRanges(block, DENIED)).toEqual(expected);
  });

  it('is left alone where nothing is denied', () => {
    expect(withoutRanges({ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }, [])).toEqual({
      cidr: '10.0.0.0/8',
      except: ['10.1.0.0/16'],
    });
  });

  it('never holds an address of a denied range, whatever the block (T14)', () => {
    const random = (below: number) => Math.floor(Math.random() * below);
    for (let round = 0; round < 2_000; round++) {
      const cidr = `${[10, 169, 11, 8][random(4)]}.${[254, random(256)][random(2)]}.${random(256)}.${random(256)}/${random(33)}`;
      const left = withoutRanges({ cidr }, DENIED);
      const hit = left && addressesIn(left, ['10.0.0.1', '10.255.255.255', '169.254.169.254', '169.254.0.0']);
      expect(hit ?? [], cidr).toEqual([]);
    }
  });

  it.each([
    '',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0/8',
    '::/129',
    '::ffff:0:0/95',
    'fe80::1%eth0/64',
    '10.0.0.0/-1',
  ])('is refused when it is not one: %j', (cidr) => {
    expect(() => withoutRanges({ cidr }, DENIED)).toThrow(RefusedError);
  });
});

describe('everything', () => {
  it('is what no range takes away, of each family', () => {
    expect(everythingBut(DENIED)).toEqual([
      { cidr: '0.0.0.0/0', except: ['169.254.0.0/16', '10.0.0.0/8'] },
      { cidr: '::/0', except: ['fc00::/7'] },
    ]);
    expect(everythingBut(['::/0'])).toEqual([{ cidr: '0.0.0.0/0' }]);
  });

  it('is told apart from what has exceptions', () => {
    expect(isEverything({ cidr: '0.0.0.0/0' })).toBe(true);
    expect(isEverything({ cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] })).toBe(false);
    expect(isEverything({ cidr: '0.0.0.0/1' })).toBe(false);
  });
});

it('finds the addresses that a block means', () => {
  const addresses = ['10.1.0.1', '10.1.0.2', '10.2.0.1', 'fd00::1'];
  expect(addressesIn({ cidr: '10.1.0.0/16', except: ['10.1.0.2/32'] }, addresses)).toEqual(['10.1.0.1']);
  expect(addressesIn({ cidr: 'fd00::/8' }, addresses)).toEqual(['fd00::1']);
});
