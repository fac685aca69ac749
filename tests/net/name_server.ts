import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";

/** Type A; RFC 1035, 3.2.2. */
const TYPE_A = 1;
const HEADER_BYTES = 12;

/** Starts a name server (RFC 1035, over UDP) that answers every name with one IPv4 address. */
export async function nameServer(listen: string, address: string): Promise<Disposable> {
  const socket = createSocket("udp4");
  socket.on(
    "message",
    (query, peer) => socket.send(answer(query, address), peer.port, peer.address),
  );
  await new Promise<void>((resolve) => socket.bind(53, listen, resolve));
  return { [Symbol.dispose]: () => socket.close() };
}

function answer(query: Buffer, address: string): Buffer {
  const end = query.indexOf(0, HEADER_BYTES);
  const question = query.subarray(HEADER_BYTES, end + 5);
  const known = question.readUInt16BE(question.length - 4) === TYPE_A;
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // Response, recursion available, no error; one question.
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(known ? 1 : 0, 6);
  // The name as a pointer to the question, type A, class IN, 60 s, 4 bytes.
  const record = [0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split(".")];
  return Buffer.concat([
    header,
    question,
    known ? Buffer.from(record.map(Number)) : Buffer.alloc(0),
  ]);
}
