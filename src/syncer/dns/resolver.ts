// One DNS message in, one out: what is of the cluster is answered here and never leaves, everything else is forwarded.
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type OptAnswer,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { answer, type Zone, type ZoneAnswer } from './answer.ts';
import type { ZoneStores } from './cluster-records.ts';
import type { Forwarder } from './forwarder.ts';
import type { Protocol } from './upstream-exchange.ts';
import { isTruncated } from './wire.ts';

export interface ResolverDeps {
  zone: Zone;
  stores: ZoneStores;
  /** Whether the stores were filled once. Before that the cluster's names are unknown, not missing. */
  hasSynced(): boolean;
  /** Who is asked about a name outside. */
  forwarderFor(name: string): Forwarder;
  logger: Logger;
}

export interface Resolver {
  /** @returns undefined when the message deserves no answer. Never rejects. */
  resolve(message: Buffer, protocol: Protocol, signal: AbortSignal): Promise<Buffer | undefined>;
}

const CODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
type Code = keyof typeof CODES;

const HEADER_BYTES = 12;
const MAX_BYTES = { plainUdp: 512, tcp: 65_535 };
/** What crosses every network in one piece (the DNS flag day 2020's figure); no answer over UDP is larger. */
const EDNS_BYTES = 1232;
const SAFE_NAME = /^[\x21-\x7e]*$/;

export function createResolver({ zone, stores, hasSynced, forwarderFor, logger }: ResolverDeps): Resolver {
  /** Turns are taken among the addresses of a name, for clients that use the first. */
  let turn = 0;

  async function respond(query: DecodedPacket, message: Buffer, protocol: Protocol, signal: AbortSignal) {
    const limit = maxBytes(query, protocol);
    const reply = (code: Code, sections: Partial<Packet> = {}, flags = 0) =>
      fitted(responseTo(query, code, sections, flags), limit);

    const [question, ...more] = query.questions ?? [];
    if (opcodeOf(message) !== 0) return reply('NOTIMP');
    if ((optOf(query)?.ednsVersion ?? 0) > 0) return encode(badVersion(query));
    if (!question || more.length > 0 || !SAFE_NAME.test(question.name)) return malformed(message);
    if (question.class !== 'IN' || question.type === 'AXFR' || question.type === 'IXFR')
      return reply('REFUSED');

    const ours = answer(question, zone, stores);
    if (ours.kind === 'outside') {
      const forwarder = forwarderFor(question.name.toLowerCase());
      if (forwarder.empty) return reply('REFUSED');
      return forwarder.forward(message, cacheKey(query, question, protocol), protocol, signal);
    }
    if (!hasSynced()) return reply('SERVFAIL');
    const { answers, code } = await completed(ours, question, signal);
    const { authorities, additionals } = ours;
    return reply(code, { answers: rotated(answers, turn++), authorities, additionals }, AUTHORITATIVE_ANSWER);
  }

  /** Appends what the outside says about the target of an alias. */
  async function completed(
    { answers, code, continueWith }: ZoneAnswer & { kind: 'answer' },
    { type }: Question,
    signal: AbortSignal,
  ): Promise<{ answers: Answer[]; code: Code }> {
    if (!continueWith) return { answers, code };
    const forwarder = forwarderFor(continueWith);
    if (forwarder.empty) return { answers, code };
    const question: Question = { type, class: 'IN', name: continueWith };
    const query = encode({
      type: 'query',
      flags: RECURSION_DESIRED,
      questions: [question],
      additionals: [OPT],
    });
    const key = `alias/${type}/${continueWith}`;
    let response = await forwarder.forward(query, key, 'udp', signal);
    if (isTruncated(response)) response = await forwarder.forward(query, key, 'tcp', signal);
    return { answers: [...answers, ...(decode(response).answers ?? [])], code };
  }

  return {
    async resolve(message, protocol, signal) {
      let query: DecodedPacket;
      try {
        query = decode(message);
      } catch {
        return malformed(message);
      }
      if (query.flag_qr) return undefined;
      try {
        return await respond(query, message, protocol, signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        logger.debug({ reason: errorMessage(error) }, 'cannot answer a DNS query');
        return encode(responseTo(query, 'SERVFAIL', {}, 0));
      }
    },
  };
}

function responseTo(query: DecodedPacket, code: Code, sections: Partial<Packet>, flags: number): Packet {
  const desired = query.flag_rd ? RECURSION_DESIRED : 0;
  const opt: Answer[] = optOf(query) ? [OPT] : [];
  return {
    type: 'response',
    id: query.id,
    flags: flags | desired | RECURSION_AVAILABLE | CODES[code],
    questions: query.questions,
    answers: sections.answers ?? [],
    authorities: sections.authorities ?? [],
    additionals: [...opt, ...(sections.additionals ?? [])],
  };
}

const OPT: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: EDNS_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** BADVERS, whose higher bits are in the OPT record (RFC 6891): the client is to ask again by version 0. */
function badVersion(query: DecodedPacket): Packet {
  return { ...responseTo(query, 'NOERROR', {}, 0), additionals: [{ ...OPT, extendedRcode: 1 }] };
}

function optOf({ additionals }: Packet): OptAnswer | undefined {
  return additionals?.find((record) => record.type === 'OPT');
}

function opcodeOf(message: Buffer): number {
  return (message.readUInt8(2) >> 3) & 0x0f;
}

function maxBytes(query: DecodedPacket, protocol: Protocol): number {
  if (protocol === 'tcp') return MAX_BYTES.tcp;
  const asked = optOf(query)?.udpPayloadSize ?? 0;
  return Math.max(MAX_BYTES.plainUdp, Math.min(asked, EDNS_BYTES));
}

/** A header that says FORMERR, without a question that could not be read; nothing when there is not even a header. */
function malformed(message: Buffer): Buffer | undefined {
  if (message.length < HEADER_BYTES || (message.readUInt8(2) & 0x80) !== 0) return undefined;
  return encode({ type: 'response', id: message.readUInt16BE(0), flags: CODES.FORMERR });
}

/** Encodes within the limit: the additional records go first, then answers, which the client is told (TC). */
function fitted(packet: Packet, limit: number): Buffer {
  const whole = encode(packet);
  if (whole.length <= limit) return whole;
  const bare = { ...packet, additionals: packet.additionals?.filter(({ type }) => type === 'OPT') };
  const withoutAdditionals = encode(bare);
  if (withoutAdditionals.length <= limit) return withoutAdditionals;
  const answers = [...(packet.answers ?? [])];
  for (;;) {
    answers.length = Math.floor(answers.length / 2);
    const cut = encode({ ...bare, answers, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE });
    if (cut.length <= limit || answers.length === 0) return cut;
  }
}

function cacheKey(query: DecodedPacket, question: Question, protocol: Protocol): string {
  const opt = optOf(query);
  const edns = opt ? `${opt.udpPayloadSize}${opt.flag_do ? '+do' : ''}` : '-';
  const flags = `${query.flag_rd ? 'rd' : ''}${query.flag_cd ? 'cd' : ''}${query.flag_ad ? 'ad' : ''}`;
  return [protocol, edns, flags, question.type, question.name.toLowerCase()].join('/');
}

/** Aliases stay where they are, first; the addresses after them take turns. */
function rotated(answers: Answer[], turn: number): Answer[] {
  const first = answers.findIndex(({ type }) => type === 'A' || type === 'AAAA');
  if (first < 0) return answers;
  const addresses = answers.slice(first);
  const start = turn % addresses.length;
  return [...answers.slice(0, first), ...addresses.slice(start), ...addresses.slice(0, start)];
}
