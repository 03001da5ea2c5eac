// The few things done on the bytes of a message that are passed on: its parts may be of types nobody here knows.

const HEADER_BYTES = 12;
const TYPE_OPT = 41;
const POINTER = 0xc0;

function wordAt(message: Buffer, offset: number): number {
  return message.readUInt16BE(offset);
}

/** @throws RangeError when the message ends too early. */
function afterName(message: Buffer, start: number): number {
  let offset = start;
  for (;;) {
    const length = message.readUInt8(offset);
    if (length >= POINTER) return offset + 2;
    if (length === 0) return offset + 1;
    offset += length + 1;
  }
}

/** Where the question section ends. @throws RangeError on a malformed message. */
function endOfQuestions(message: Buffer): number {
  let offset = HEADER_BYTES;
  for (let left = wordAt(message, 4); left > 0; left--) offset = afterName(message, offset) + 4;
  return offset;
}

export interface WireRecord {
  type: number;
  /** Where the four bytes of its time to live begin. */
  ttlOffset: number;
  /** Where the record ends. */
  end: number;
}

/** The records of all three sections but the OPT record, which only looks like one. @throws RangeError on a malformed message. */
export function recordsOf(message: Buffer): WireRecord[] {
  const records: WireRecord[] = [];
  let offset = endOfQuestions(message);
  for (let left = wordAt(message, 6) + wordAt(message, 8) + wordAt(message, 10); left > 0; left--) {
    const typeOffset = afterName(message, offset);
    const type = wordAt(message, typeOffset);
    const end = typeOffset + 10 + wordAt(message, typeOffset + 8);
    if (end > message.length) throw new RangeError('a record is longer than the message');
    if (type !== TYPE_OPT) records.push({ type, ttlOffset: typeOffset + 4, end });
    offset = end;
  }
  return records;
}

/** The response code, without what EDNS adds to it. */
export function codeOf(message: Buffer): number {
  return message.readUInt8(3) & 0x0f;
}

export function isTruncated(message: Buffer): boolean {
  return (message.readUInt8(2) & 0x02) !== 0;
}

export function hasAnswers(message: Buffer): boolean {
  return wordAt(message, 6) > 0;
}

/** A copy of `response` with the id and the spelling of the question of `query`, whose question is the same but for case. */
export function addressedTo(query: Buffer, response: Buffer): Buffer {
  const copy = Buffer.from(response);
  query.copy(copy, 0, 0, 2);
  query.copy(copy, HEADER_BYTES, HEADER_BYTES, endOfQuestions(query));
  return copy;
}

/** Whether `response` answers `query`: same id, same question but for case. Anything else did not come from whom we asked. */
export function isResponseTo(query: Buffer, response: Buffer): boolean {
  if (response.length < HEADER_BYTES || wordAt(response, 0) !== wordAt(query, 0)) return false;
  if ((response.readUInt8(2) & 0x80) === 0 || wordAt(response, 4) !== 1) return false;
  const end = endOfQuestions(query);
  const question = (message: Buffer) => message.toString('latin1', HEADER_BYTES, end).toLowerCase();
  return response.length >= end && question(response) === question(query);
}
