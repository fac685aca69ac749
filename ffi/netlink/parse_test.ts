import assert from "node:assert/strict";
import fc from "fast-check";
import { isSystemError, type System } from "../mod.ts";
import { parseAddress } from "./address.ts";
import { AF, MESSAGE } from "./constants.ts";
import { NetlinkFormatError } from "./error.ts";
import { formatIp, parseIp, parseIpPrefix } from "./ip.ts";
import { dumpLinks, parseLink, setLink } from "./link.ts";
import { formatMac, macBytes } from "./mac.ts";
import { encodeRequest, parseAttributes, parseMessages, splitPayload, u32 } from "./message.ts";
import { parseNeighbour } from "./neighbour.ts";
import { parseRoute } from "./route.ts";
import { Rtnetlink } from "./socket.ts";
import { parseQdisc } from "./traffic.ts";

const PARSERS = { parseLink, parseAddress, parseRoute, parseNeighbour, parseQdisc };
const bytes = fc.uint8Array({ maxLength: 200 });

Deno.test("any bytes are parsed or rejected with NetlinkFormatError", () => {
  for (const parse of [parseMessages, parseAttributes, ...Object.values(PARSERS)]) {
    fc.assert(fc.property(bytes, (input) => {
      try {
        parse(input);
      } catch (error) {
        assert(error instanceof NetlinkFormatError, String(error));
      }
    }));
  }
});

Deno.test("every truncation of a message is rejected and not read past its end", () => {
  const whole = encodeRequest(setLink(3, { mtu: 1400, mac: "02:00:00:00:00:01", name: "eth0" }), 7);
  for (let length = 1; length < whole.length; length++) {
    assert.throws(() => parseMessages(whole.subarray(0, length)), NetlinkFormatError);
  }
  const [message] = parseMessages(whole);
  assert.deepEqual([message!.type, message!.sequence], [MESSAGE.NEWLINK, 7]);
});

Deno.test("wrong lengths are rejected", () => {
  assert.throws(() => parseAttributes(Uint8Array.of(3, 0, 1, 0)), NetlinkFormatError);
  assert.throws(() => parseAttributes(Uint8Array.of(9, 0, 1, 0, 0, 0, 0, 0)), NetlinkFormatError);
  // Length 0 must not loop.
  assert.throws(() => parseMessages(new Uint8Array(16)), NetlinkFormatError);
  assert.throws(() => splitPayload(new Uint8Array(15), 16), NetlinkFormatError);
});

Deno.test("parseLink returns the attributes that setLink encodes", () => {
  fc.assert(fc.property(
    fc.record({
      mtu: fc.integer({ min: 68, max: 65535 }),
      mac: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(formatMac),
      name: fc.stringMatching(/^[a-z][a-z0-9]{0,14}$/),
    }, { noNullPrototype: true }),
    (change) => {
      const [message] = parseMessages(encodeRequest(setLink(5, change), 1));
      const { mtu, mac, name, index } = parseLink(message!.payload);
      assert.deepEqual({ mtu, mac, name }, change);
      assert.equal(index, 5);
    },
  ));
});

Deno.test("addresses round-trip as text", () => {
  for (const length of [4, 16]) {
    fc.assert(fc.property(fc.uint8Array({ minLength: length, maxLength: length }), (ip) => {
      assert.deepEqual(parseIp(formatIp(ip)), ip);
    }));
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
    assert.deepEqual(macBytes(formatMac(mac)), mac);
  }));
  fc.assert(fc.property(fc.string(), (text) => void parseIp(text)));
});

Deno.test("formatIp follows RFC 5952", () => {
  const canonical = (text: string) => formatIp(parseIp(text)!);
  assert.equal(canonical("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  assert.equal(canonical("2001:0DB8::0001"), "2001:db8::1");
  assert.equal(canonical("::"), "::");
  assert.equal(canonical("::1"), "::1");
  assert.equal(canonical("fd00::"), "fd00::");
  assert.equal(canonical("1:0:2:3:4:5:6:7"), "1:0:2:3:4:5:6:7");
  for (const wrong of ["", "1.2.3", "1.2.3.256", "01.2.3.4", ":::", "1::2::3", "fe80::1%eth0"]) {
    assert.equal(parseIp(wrong), null, wrong);
  }
  assert.deepEqual(parseIpPrefix("10.0.0.2/24"), { address: "10.0.0.2", prefixLength: 24 });
  for (const wrong of ["10.0.0.2", "10.0.0.2/33", "fd00::/129", "10.0.0.2/-1", "/8"]) {
    assert.equal(parseIpPrefix(wrong), null, wrong);
  }
});

/** Returns a system whose rtnetlink socket answers with these datagrams. */
function answering(...datagrams: (Uint8Array | ((sequence: number) => Uint8Array))[]): System {
  const left = [...datagrams];
  let sequence = 0;
  return {
    openRtnetlink: () => 9,
    close: () => {},
    write: (_: number, data: Uint8Array) => {
      sequence = new DataView(data.buffer).getUint32(8, true);
      return data.length;
    },
    read: (_: number, into: Uint8Array) => {
      const next = left.shift();
      if (next === undefined) return null;
      const datagram = typeof next === "function" ? next(sequence) : next;
      into.set(datagram);
      return datagram.length;
    },
  } as unknown as System;
}

function answer(type: number, payload: Uint8Array) {
  return (sequence: number) =>
    encodeRequest({ type, flags: 0, header: payload, attributes: [] }, sequence);
}

Deno.test("an error names the attempted change", () => {
  using rtnetlink = Rtnetlink.open(answering(answer(MESSAGE.ERROR, u32(-17 >>> 0))));
  assert.throws(
    () => rtnetlink.change(setLink(3, { up: true }), "set link eth0 up"),
    (error) => isSystemError(error, "EEXIST") && error.message.startsWith("set link eth0 up: "),
  );
});

Deno.test("a request without an answer fails", () => {
  using silent = Rtnetlink.open(answering());
  assert.throws(
    () => silent.change(setLink(3, {}), "x"),
    (error) => isSystemError(error, "EAGAIN"),
  );
  using other = Rtnetlink.open(answering(answer(MESSAGE.NEWLINK, new Uint8Array(16))));
  assert.throws(() => other.change(setLink(3, {}), "x"), NetlinkFormatError);
  using cut = Rtnetlink.open(answering(Uint8Array.of(1, 2, 3)));
  assert.throws(() => cut.dump(dumpLinks(), parseLink, "x"), NetlinkFormatError);
});

Deno.test("answers with another sequence number are ignored", () => {
  const stale = encodeRequest(
    { type: MESSAGE.ERROR, flags: 0, header: u32(-1 >>> 0), attributes: [] },
    999,
  );
  using rtnetlink = Rtnetlink.open(
    answering(stale, answer(MESSAGE.NEWLINK, new Uint8Array(16)), answer(MESSAGE.DONE, u32(0))),
  );
  assert.equal(rtnetlink.dump(dumpLinks(), parseLink, "links").length, 1);
  assert.equal(AF.UNSPEC, 0);
});
