import assert from "node:assert/strict";
import { labArguments, type LabMachine, shareArguments } from "./lab_machine.ts";

const LAB: LabMachine = {
  kernel: "/boot/vmlinuz",
  init: "/repository/scripts/lab_init.sh",
  denoDirectory: "/deno",
  shares: { root: "/run/root.sock", repository: "/run/repository.sock" },
  root: "root",
  relay: "/run/relay.sock",
  console: "/run/console",
  tscKhz: 2_500_000,
};

/** The values of an option that may occur several times. */
function valuesOf(option: string, args: readonly string[]): string[] {
  return args.flatMap((argument, at) => argument === option ? [args[at + 1]!] : []);
}

Deno.test("the lab is a machine with svm, its shares and relay use their sockets", () => {
  const args = labArguments(LAB);
  assert.match(valuesOf("-machine", args)[0]!, /^q35,accel=tcg,memory-backend=memory,/);
  assert.match(valuesOf("-cpu", args)[0]!, /^max,/);
  // vhost-user needs memory that virtiofsd can map.
  assert.match(valuesOf("-object", args)[0]!, /^memory-backend-memfd,id=memory,.*share=on$/);
  assert.deepEqual(valuesOf("-chardev", args), [
    "file,id=console,path=/run/console",
    "socket,id=root,path=/run/root.sock",
    "socket,id=repository,path=/run/repository.sock",
    "socket,id=relay,path=/run/relay.sock",
  ]);
  const line = valuesOf("-append", args)[0]!.split(" ");
  for (
    const word of [
      "root=root",
      "rootfstype=virtiofs",
      `init=${LAB.init}`,
      "panic=-1",
      "init_on_alloc=1",
    ]
  ) {
    assert(line.includes(word), word);
  }
  assert(line.includes("tsc_early_khz=2500000"));
  // A panic must stop QEMU.
  assert(args.includes("-no-reboot"));
});

Deno.test("an unknown TSC frequency is left to the lab's kernel", () => {
  const line = valuesOf("-append", labArguments({ ...LAB, tscKhz: null }))[0]!;
  assert(!line.includes("tsc_early_khz"));
});

Deno.test("a read-only share cannot be written to", () => {
  assert(shareArguments("/directory", "/socket", "read-only").includes("--readonly"));
  assert(!shareArguments("/directory", "/socket", "read-write").includes("--readonly"));
});
