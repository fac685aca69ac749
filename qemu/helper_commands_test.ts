import assert from "node:assert/strict";
import { assertGolden } from "./testing/golden.ts";
import { dyingWithParent, vhostDeviceVsockCommand, virtiofsdCommand } from "./helper_commands.ts";

Deno.test("the command lines of the helpers match the golden file", () => {
  const virtiofsd = { path: "/usr/libexec/virtiofsd", fd: 3, sharedDirectory: "/run/x/root fs" };
  const commands = [
    virtiofsdCommand({ ...virtiofsd, readonly: true, isFixed: true }),
    virtiofsdCommand({ ...virtiofsd, readonly: false, sandbox: "chroot" }),
    vhostDeviceVsockCommand({
      path: "/usr/bin/vhost-device-vsock",
      cid: 70_000,
      vhostSocket: "vhost.sock",
      dialSocket: "vsock.sock",
    }),
  ].map((command) => dyingWithParent(command, "/usr/bin/setpriv"));
  const text = commands.map(({ path, args }) => [path, ...args].join("\n")).join("\n\n");
  assertGolden("helper_commands.txt", text + "\n");
});

Deno.test("values that vhost-device-vsock's options cannot express are refused", () => {
  const options = { path: "/v", cid: 3, vhostSocket: "a,b", dialSocket: "c" };
  assert.throws(() => vhostDeviceVsockCommand(options), { kind: "config" });
  assert.throws(() => vhostDeviceVsockCommand({ ...options, vhostSocket: "a", cid: 2 }), {
    kind: "config",
  });
});
