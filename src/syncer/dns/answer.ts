// The answer to one question: from the cluster domain with its SOA, or the word that it belongs to the outside. Pure.

import { isIPv4 } from 'node:net';
import type { Answer, Question, SoaAnswer } from 'dns-packet';
import { clusterNamesOf, clusterRecords, type NameRecords, type ZoneStores } from './cluster-records.ts';
import { addressOfReverseName, networkOfReverseName } from './reverse-name.ts';

export interface Zone {
  /** The cluster domain, lower case, without a trailing dot: `cluster.local`. */
  domain: string;
  /** Of every record, and of the statement that there is none. */
  ttlSeconds: number;
  /** Of the SOA record. */
  serial: number;
  /** Addresses that the operator gives to a name, in the domain or outside of it, before anything else is looked at. */
  given(name: string): readonly string[] | undefined;
  /** Whether nobody outside is to be asked whose an address is. `name`: its reverse name. */
  isPrivate(address: string, name: string): boolean;
}

export type ZoneAnswer =
  | {
      kind: 'answer';
      /** `NXDOMAIN` with records: an alias whose target, inside the domain, does not exist. */
      code: 'NOERROR' | 'NXDOMAIN';
      answers: Answer[];
      authorities: Answer[];
      additionals: Answer[];
      /** An alias ends outside of the domain: its target, whose records of the question's type are to be appended. */
      continueWith?: string;
    }
  /** Not of this domain: to be forwarded. */
  | { kind: 'outside' };

/** More aliases in a row than this are a loop, or might as well be one. */
const MAX_ALIASES = 8;
const NAME_SERVER = 'kube-dns.kube-system.svc';

const OUTSIDE: ZoneAnswer = { kind: 'outside' };

export function answer(question: Question, zone: Zone, stores: ZoneStores): ZoneAnswer {
  const name = question.name.toLowerCase();
  const network = networkOfReverseName(name);
  if (network) return reverseAnswer(question, network, zone, stores);
  return isInside(name, zone) || zone.given(name) ? insideAnswer(question, name, zone, stores) : OUTSIDE;
}

function isInside(name: string, { domain }: Zone): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

function reverseAnswer(
  { type, name }: Question,
  network: string,
  zone: Zone,
  stores: ZoneStores,
): ZoneAnswer {
  const address = addressOfReverseName(name.toLowerCase());
  const names = address ? clusterNamesOf(address, stores) : [];
  if (names.length === 0) {
    if (!zone.isPrivate(network, name.toLowerCase())) return OUTSIDE;
    const apex = name.toLowerCase().endsWith('.ip6.arpa') ? 'ip6.arpa' : 'in-addr.arpa';
    return { ...found(zone, []), code: address ? 'NXDOMAIN' : 'NOERROR', authorities: [soa(zone, apex)] };
  }
  return found(
    zone,
    type === 'PTR'
      ? names.map((target) => ({ type: 'PTR', name, ttl: zone.ttlSeconds, data: `${target}.${zone.domain}` }))
      : [],
  );
}

function insideAnswer(question: Question, name: string, zone: Zone, stores: ZoneStores): ZoneAnswer {
  const aliases: Answer[] = [];
  // The first owner keeps the letters of the question, the others are ours.
  let owner = question.name;
  let current = name;
  for (;;) {
    const given = zone.given(current);
    if (given) return withRecords(zone, { ...question, name: owner }, current, { addresses: given }, aliases);
    if (!isInside(current, zone)) return { ...found(zone, aliases), continueWith: current };
    const below = current.slice(0, -zone.domain.length - 1);
    const records = clusterRecords(below === '' ? [] : below.split('.'), stores);
    if (!records) return missing(zone, aliases);
    if (!records.alias || question.type === 'CNAME') {
      return withRecords(zone, { ...question, name: owner }, current, records, aliases);
    }
    if (aliases.length === MAX_ALIASES) return missing(zone, []);
    aliases.push({ type: 'CNAME', name: owner, ttl: zone.ttlSeconds, data: records.alias });
    current = records.alias;
    owner = current;
  }
}

function withRecords(
  zone: Zone,
  { type, name }: Question,
  canonicalName: string,
  records: NameRecords,
  aliases: Answer[],
): ZoneAnswer {
  const ttl = zone.ttlSeconds;
  const { addresses = [], services = [], text, alias } = records;
  const answers: Answer[] = [];
  const additionals: Answer[] = [];

  answers.push(...addressRecords(name, addresses, ttl).filter((record) => record.type === type));
  if (text && type === 'TXT') answers.push({ type: 'TXT', name, ttl, data: text });
  if (alias && type === 'CNAME') answers.push({ type: 'CNAME', name, ttl, data: alias });
  if (type === 'SRV') {
    const serviceName = canonicalName.replace(/^_[^.]*\._[^.]*\./, '');
    for (const { hostname, port, addresses: targets } of services) {
      const target = hostname ? `${hostname}.${serviceName}` : serviceName;
      const weight = Math.max(1, Math.floor(100 / services.length));
      answers.push({ type: 'SRV', name, ttl, data: { priority: 0, weight, port, target } });
      additionals.push(...addressRecords(target, targets, ttl));
    }
  }
  if (canonicalName === zone.domain) {
    if (type === 'SOA') answers.push(soa(zone));
    if (type === 'NS') answers.push({ type: 'NS', name, ttl, data: `${NAME_SERVER}.${zone.domain}` });
  }
  const apex = isInside(canonicalName, zone) ? zone.domain : canonicalName;
  return {
    ...found(zone, [...aliases, ...answers]),
    authorities: answers.length === 0 ? [soa(zone, apex)] : [],
    additionals: distinctRecords(additionals),
  };
}

function addressRecords(name: string, addresses: readonly string[], ttl: number): Answer[] {
  return addresses.map((data) => ({ type: isIPv4(data) ? 'A' : 'AAAA', name, ttl, data }));
}

/** Several ports of one target bring its addresses several times. */
function distinctRecords(records: Answer[]): Answer[] {
  return [...new Map(records.map((record) => [JSON.stringify(record), record])).values()];
}

function found(
  zone: Zone,
  answers: Answer[],
  withSoa = answers.length === 0,
): ZoneAnswer & { kind: 'answer' } {
  return {
    kind: 'answer',
    code: 'NOERROR',
    answers,
    authorities: withSoa ? [soa(zone)] : [],
    additionals: [],
  };
}

function missing(zone: Zone, aliases: Answer[]): ZoneAnswer {
  return { ...found(zone, aliases, true), code: 'NXDOMAIN' };
}

/** Its TTL and its minimum both say how long the absence of a record may be remembered (RFC 2308). */
function soa({ domain, ttlSeconds, serial }: Zone, apex = domain): SoaAnswer {
  return {
    type: 'SOA',
    name: apex,
    ttl: ttlSeconds,
    data: {
      mname: `${NAME_SERVER}.${domain}`,
      rname: `hostmaster.${domain}`,
      serial,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttlSeconds,
    },
  };
}
