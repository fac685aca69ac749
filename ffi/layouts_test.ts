import assert from "node:assert/strict";
import fc from "fast-check";
import * as layouts from "./layouts.ts";
import { compiler, evaluateInC } from "./testing/c.ts";

/** Our tables by the C type that each describes. */
const TYPES: Record<string, Record<string, number>> = {
  "struct epoll_event": layouts.EPOLL_EVENT,
  "struct pollfd": layouts.POLLFD,
  "struct sockaddr_un": layouts.SOCKADDR_UN,
  "struct sockaddr_vm": layouts.SOCKADDR_VM,
  "struct iovec": layouts.IOVEC,
  "struct msghdr": layouts.MSGHDR,
  "struct cmsghdr": layouts.CMSGHDR,
  "siginfo_t": layouts.SIGINFO,
  "struct timespec": layouts.TIMESPEC,
  "struct ucred": layouts.UCRED,
  "struct ifreq": layouts.IFREQ,
  "struct winsize": layouts.WINSIZE,
  "struct statx": layouts.STATX,
  "struct mount_attr": layouts.MOUNT_ATTR,
  "struct blkpg_ioctl_arg": layouts.BLKPG_ARGUMENT,
  "struct blkpg_partition": layouts.BLKPG_PARTITION,
  "sigset_t": layouts.SIGSET,
  "posix_spawn_file_actions_t": layouts.SPAWN_FILE_ACTIONS,
  "posix_spawnattr_t": layouts.SPAWN_ATTRIBUTES,
};
const GOLDEN = new URL("./testdata/layouts.json", import.meta.url);

/** Returns the sizes and offsets in the system's headers. */
async function askCompiler(): Promise<Record<string, Record<string, number>>> {
  const asked = Object.entries(TYPES).flatMap(([type, table]) =>
    Object.keys(table).map((field) => ({
      type,
      field,
      value: field === "size" ? `sizeof(${type})` : `offsetof(${type}, ${field})`,
    }))
  );
  const values = await evaluateInC(asked.map(({ value }) => value));
  const found: Record<string, Record<string, number>> = {};
  asked.forEach(({ type, field }, index) => (found[type] ??= {})[field] = values[index]!);
  return found;
}

Deno.test("sizes and offsets match the golden file", async () => {
  if (Deno.env.get("UPDATE_GOLDEN") && compiler) {
    await Deno.writeTextFile(GOLDEN, JSON.stringify(await askCompiler(), null, 2) + "\n");
  }
  assert.deepEqual(JSON.parse(await Deno.readTextFile(GOLDEN)), TYPES);
});

Deno.test({
  name: `sizes and offsets match the C compiler's${compiler ? "" : " (skipped: no C compiler)"}`,
  ignore: compiler === undefined,
  fn: async () => assert.deepEqual(await askCompiler(), TYPES),
});

Deno.test("times round-trip, also those before 1970", () => {
  const bound = 2n ** 62n;
  fc.assert(fc.property(fc.bigInt(-bound, bound), (nanoseconds) => {
    const encoded = layouts.encodeTimespec(nanoseconds);
    const part = layouts.fields(encoded).getBigInt64(layouts.TIMESPEC.tv_nsec, true);
    assert(part >= 0n && part < 1_000_000_000n);
    assert.equal(layouts.decodeTimespec(encoded), nanoseconds);
  }));
});

Deno.test("epoll events round-trip at any index", () => {
  const event = fc.record({
    events: fc.nat({ max: 0xffffffff }),
    token: fc.bigInt(0n, 2n ** 64n - 1n),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.array(event, { maxLength: 8 }), (all) => {
    const bytes = layouts.structure(all.length * layouts.EPOLL_EVENT.size);
    all.forEach(({ events, token }, index) => {
      const one = layouts.encodeEpollEvent(events, token);
      bytes.set(one, index * layouts.EPOLL_EVENT.size);
    });
    assert.deepEqual(all.map((_, index) => layouts.decodeEpollEvent(bytes, index)), all);
  }));
});

Deno.test("socket addresses have the layout of vsock(7) and unix(7)", () => {
  const vsock = layouts.encodeSockaddrVm(3, 1025);
  assert.deepEqual([...vsock], [40, 0, 0, 0, 1, 4, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...layouts.encodeSockaddrUn("/a")!], [1, 0, 0x2f, 0x61, 0]);
  assert.equal(layouts.encodeSockaddrUn("x".repeat(107))?.length, layouts.SOCKADDR_UN.size);
  assert.equal(layouts.encodeSockaddrUn("x".repeat(108)), null);
  assert.equal(layouts.encodeSockaddrUn("ü".repeat(54)), null);
});
