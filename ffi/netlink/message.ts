import { FLAG } from "./constants.ts";
import { NetlinkFormatError } from "./error.ts";

/** An attribute: its type, and its value or its nested attributes. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

/** One request to the kernel, as data. */
export interface NetlinkRequest {
  /** MESSAGE.* */
  readonly type: number;
  /** FLAG.*, without REQUEST, which every request has. */
  readonly flags: number;
  /** The family's own header: struct ifinfomsg, ifaddrmsg, rtmsg, ndmsg, tcmsg. */
  readonly header: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** One message from the kernel, with everything after struct nlmsghdr as raw bytes. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** struct nlmsghdr */
const HEADER = { size: 16, len: 0, type: 4, flags: 6, seq: 8 } as const;
/** struct nlattr */
const ATTRIBUTE_HEADER_BYTES = 4;
/** Masks out NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/** Returns a message in the layout of netlink(7), in host byte order (little endian). Pure. */
export function encodeRequest(request: NetlinkRequest, sequence: number): Uint8Array<ArrayBuffer> {
  const attributes = request.attributes.map(encodeAttribute);
  const start = HEADER.size + align(request.header.length);
  const length = attributes.reduce((sum, each) => sum + each.length, start);
  const bytes = new Uint8Array(new ArrayBuffer(length));
  const view = new DataView(bytes.buffer);
  view.setUint32(HEADER.len, length, true);
  view.setUint16(HEADER.type, request.type, true);
  view.setUint16(HEADER.flags, request.flags | FLAG.REQUEST, true);
  view.setUint32(HEADER.seq, sequence, true);
  bytes.set(request.header, HEADER.size);
  let offset = start;
  for (const each of attributes) {
    bytes.set(each, offset);
    offset += each.length;
  }
  return bytes;
}

function encodeAttribute([type, value]: Attribute): Uint8Array {
  const payload = value instanceof Uint8Array ? value : concatenate(value.map(encodeAttribute));
  const length = ATTRIBUTE_HEADER_BYTES + payload.length;
  const bytes = new Uint8Array(align(length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, type, true);
  bytes.set(payload, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

/**
 * Splits the result of one read into messages. Pure.
 *
 * @throws {NetlinkFormatError} if a length exceeds the bytes.
 */
export function parseMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: NetlinkMessage[] = [];
  for (let offset = 0; offset < bytes.length;) {
    if (offset + HEADER.size > bytes.length) throw new NetlinkFormatError("message is cut short");
    const length = view.getUint32(offset + HEADER.len, true);
    if (length < HEADER.size || offset + length > bytes.length) {
      throw new NetlinkFormatError(`message of ${length} bytes in ${bytes.length - offset}`);
    }
    messages.push({
      type: view.getUint16(offset + HEADER.type, true),
      flags: view.getUint16(offset + HEADER.flags, true),
      sequence: view.getUint32(offset + HEADER.seq, true),
      payload: bytes.subarray(offset + HEADER.size, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/**
 * Returns the attributes in a part of a message, by type. The last of two with the same type wins,
 * as in the kernel's nla_parse. Pure.
 *
 * @throws {NetlinkFormatError} if a length exceeds the bytes.
 */
export function parseAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Uint8Array>();
  for (let offset = 0; offset + ATTRIBUTE_HEADER_BYTES <= bytes.length;) {
    const length = view.getUint16(offset, true);
    if (length < ATTRIBUTE_HEADER_BYTES || offset + length > bytes.length) {
      throw new NetlinkFormatError(`attribute of ${length} bytes in ${bytes.length - offset}`);
    }
    const type = view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK;
    found.set(type, bytes.subarray(offset + ATTRIBUTE_HEADER_BYTES, offset + length));
    offset += align(length);
  }
  return found;
}

/**
 * Splits a payload into the family's own header and the attributes after it. Pure.
 *
 * @throws {NetlinkFormatError} if the payload is shorter than the header.
 */
export function splitPayload(
  payload: Uint8Array,
  headerBytes: number,
): { header: DataView; attributes: Map<number, Uint8Array> } {
  if (payload.length < headerBytes) {
    throw new NetlinkFormatError(`payload of ${payload.length} bytes, not ${headerBytes}`);
  }
  return {
    header: new DataView(payload.buffer, payload.byteOffset, headerBytes),
    attributes: parseAttributes(payload.subarray(align(headerBytes))),
  };
}

/** Returns the value of an unsigned 32-bit attribute. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/**
 * Returns the value of a string attribute, with its NUL. @throws {TypeError} if it contains NUL.
 */
export function text(value: string): Uint8Array {
  if (value.includes("\0")) {
    throw new TypeError(`attribute must not contain a NUL byte: ${JSON.stringify(value)}`);
  }
  return new TextEncoder().encode(value + "\0");
}

/** Reads a 32-bit attribute. @throws {NetlinkFormatError} if it has another size. */
export function readU32(value: Uint8Array): number {
  if (value.length !== 4) {
    throw new NetlinkFormatError(`attribute has ${value.length} bytes, not 4`);
  }
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, true);
}

/** Reads a string attribute up to its NUL, if it has one. */
export function readText(value: Uint8Array): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end === -1 ? value : value.subarray(0, end));
}

/** NLMSG_ALIGN, NLA_ALIGN */
function align(length: number): number {
  return (length + 3) & ~3;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
