import assert from "node:assert/strict";
import fc from "fast-check";
import { RESERVED_DIRECTORIES, sandboxPaths, socketPath, vmName } from "./names.ts";

/** sun_path of unix(7) has 108 bytes, of which the last is a null byte. */
const SOCKET_PATH_BYTES_MAX = 107;
const config = { runDir: "/run/qemubox" };
const longest = "n".repeat(76);
const identifier = fc.stringMatching(/^[A-Za-z0-9]+([-._][A-Za-z0-9]+)*$/, { size: "small" });
const name = fc.record({ namespace: identifier, id: identifier });

Deno.test("every socket path fits into sun_path, for the longest id and namespace", () => {
  const name = { namespace: longest, id: longest };
  const socket = socketPath(name, "/run/containerd/containerd.sock");
  assert.ok(socket.length <= SOCKET_PATH_BYTES_MAX, socket);
  const { runtime } = sandboxPaths(config, name);
  assert.ok(`${runtime}/vhost-device-vsock-guest.sock_65535`.length <= SOCKET_PATH_BYTES_MAX);
});

Deno.test("two sandboxes share no path", () => {
  fc.assert(fc.property(name, name, (a, b) => {
    fc.pre(a.id !== b.id || a.namespace !== b.namespace);
    const [first, second] = [sandboxPaths(config, a), sandboxPaths(config, b)];
    assert.notEqual(first.lease, second.lease);
    assert.notEqual(first.runtime, second.runtime);
    assert.notEqual(socketPath(a, "/address"), socketPath(b, "/address"));
    assert.notEqual(vmName(a), vmName(b));
  }));
});

Deno.test("a name has the same paths at every call, so that delete finds what start made", () => {
  const name = { namespace: "default", id: "c1" };
  assert.deepEqual(sandboxPaths(config, name), sandboxPaths(config, { ...name }));
  assert.equal(sandboxPaths(config, name).lease, "/run/qemubox/default/c1");
  assert.equal(socketPath(name, "/a"), socketPath(name, "/a"));
});

Deno.test("two containerds on one host share no socket", () => {
  const name = { namespace: "default", id: "c1" };
  assert.notEqual(socketPath(name, "/a"), socketPath(name, "/b"));
  assert.match(socketPath(name, "/a"), /^\/run\/containerd\/s\/[0-9a-f]{64}$/);
  assert.match(socketPath(name, "/a", "/elsewhere"), /^\/elsewhere\/[0-9a-f]{64}$/);
});

Deno.test("a namespace named like a directory of ours does not use that directory", () => {
  for (const namespace of RESERVED_DIRECTORIES) {
    const { lease } = sandboxPaths(config, { namespace, id: "c1" });
    const directory = lease.split("/").at(-2)!;
    assert.ok(!RESERVED_DIRECTORIES.has(directory), lease);
    // Nor that of another namespace: an identifier begins with a letter or digit.
    assert.doesNotMatch(directory, /^[A-Za-z0-9]/);
  }
});
