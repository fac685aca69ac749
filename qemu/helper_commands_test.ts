import assert from "node:assert/strict";
import { assertGolden } from "./testing/golden.ts";
import {
  descriptorsMax,
  dyingWithParent,
  requireDescriptors,
  vhostDeviceVsockCommand,
  virtiofsdCommand,
} from "./helper_commands.ts";

const TOOLS = { setprivPath: "/usr/bin/setpriv", prlimitPath: "/usr/bin/prlimit" };

Deno.test("the command lines of the helpers match the golden file", () => {
  const virtiofsd = {
    path: "/usr/libexec/virtiofsd",
    fd: 3,
    sharedDirectory: "/run/x/root fs",
    descriptorsMax: 1_048_576,
  };
  const commands = [
    virtiofsdCommand({ ...virtiofsd, readonly: true, isFixed: true }),
    virtiofsdCommand({ ...virtiofsd, readonly: false, sandbox: "chroot" }),
    virtiofsdCommand({ ...virtiofsd, readonly: false, grantsPrivileges: true }),
    vhostDeviceVsockCommand({
      path: "/usr/bin/vhost-device-vsock",
      cid: 70_000,
      vhostSocket: "vhost.sock",
      dialSocket: "vsock.sock",
    }),
  ].map((command) => dyingWithParent(command, TOOLS));
  const qemu = { path: "/usr/bin/qemu", args: ["-M", "microvm"] };
  commands.push(
    dyingWithParent(qemu, TOOLS, { confinement: { id: 1_879_048_192, fileBytesMax: 1 << 30 } }),
  );
  const text = commands.map(({ path, args }) => [path, ...args].join("\n")).join("\n\n");
  assertGolden("helper_commands.txt", text + "\n");
});

Deno.test("virtiofsd's limit of descriptors is no more than its parent's", () => {
  const limits =
    "Limit Soft Limit Hard Limit Units\nMax open files            1024  20000  files\n";
  assert.equal(descriptorsMax(limits), 20_000);
  assert.equal(descriptorsMax("Max open files   1024   unlimited   files\n"), Infinity);
  const { args } = virtiofsdCommand({
    ...{ path: "/v", fd: 3, sharedDirectory: "/s", readonly: true },
    descriptorsMax: 20_000,
  });
  assert(args.includes("--rlimit-nofile=20000"));
});

Deno.test("values that vhost-device-vsock's options cannot express are refused", () => {
  const options = { path: "/v", cid: 3, vhostSocket: "a,b", dialSocket: "c" };
  assert.throws(() => vhostDeviceVsockCommand(options), { kind: "config" });
  assert.throws(() => vhostDeviceVsockCommand({ ...options, vhostSocket: "a", cid: 2 }), {
    kind: "config",
  });
});

Deno.test("a limit of open files that is too low for a VM is refused with the fix", () => {
  for (const enough of [1024, Infinity]) requireDescriptors(enough);
  assert.throws(() => requireDescriptors(64), {
    kind: "host",
    message: "limit of open files is 64, a VM needs 1024: raise containerd's (LimitNOFILE of its " +
      "service)",
  });
});
