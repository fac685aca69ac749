/**
 * What the host cannot provide fails `ctr run` with one clear sentence in time, and leaves nothing.
 */

import assert from "node:assert/strict";
import { GUEST_READY_MARKER } from "../../proto/mod.ts";
import { INIT, tinyInitrd } from "../qemu/guest.ts";
import { ctr, runArguments } from "../lib/ctr.ts";
import { within } from "../lib/wait.ts";
import { FOREVER } from "../lib/containers.ts";
import { fault } from "../lib/testbed.ts";

const CONFIG = "/etc/qemubox/config.json";
/** Without a boot it fails at once. */
const AT_ONCE_MS = 10_000;
const BOOT_TIMEOUT_SECONDS = 6;
/** The guest's timeout and time for the rest of Create beside other work. */
const BOOT_MS = BOOT_TIMEOUT_SECONDS * 1_000 + 15_000;

interface Refusal {
  readonly name: string;
  readonly config?: () => Record<string, unknown> | string;
  readonly flags?: readonly string[];
  readonly withinMs?: number;
  readonly says: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: "a wrong kernel path",
    config: () => ({ kernel_path: "/no/such/kernel" }),
    says: /: kernel not found at \/no\/such\/kernel: .*(QEMUBOX_SHARE_DIR|kernel_path)/,
  },
  {
    name: "a missing QEMU",
    config: () => ({ qemu_path: "/no/such/qemu-system-x86_64" }),
    says: /: qemu-system-x86_64 binary not found at \/no\/such\/qemu-system-x86_64: install QEMU/,
  },
  {
    name: "a state directory that cannot be written",
    config: () => ({ state_dir: "/proc/qemubox" }),
    says: /state directory \/proc\/qemubox cannot be written .*QEMUBOX_STATE_DIR/,
  },
  {
    name: "a run directory that cannot be written",
    config: () => ({ run_dir: "/proc/qemubox" }),
    says: /lease directory \/proc\/qemubox\/.* cannot be written .*QEMUBOX_RUN_DIR/,
  },
  {
    name: "KVM that is requested and missing",
    config: () => ({ accelerator: "kvm" }),
    says: /kvm/i,
  },
  {
    name: "a configuration that is not JSON",
    config: () => "{",
    says: /\/etc\/qemubox\/config\.json is not JSON/,
  },
  {
    name: "an unknown key",
    config: () => ({ qemu_pth: "/x" }),
    says: /\/etc\/qemubox\/config\.json: .*qemu_pth/,
  },
  {
    name: "an unknown annotation",
    flags: ["--annotation", "io.qemubox.qemu-path=/x"],
    says: /annotation io\.qemubox\.qemu-path is unknown/,
  },
  {
    name: "a corrupt root image",
    config: () => ({ root_path: file("root", new Uint8Array(1 << 20).fill(0x55)) }),
    withinMs: BOOT_MS,
    says: /guest did not become ready: .*stage 0 failed: the root image cannot be mounted/,
  },
  {
    name: "a corrupt initrd",
    config: () => ({ initrd_path: file("initrd", new Uint8Array(1 << 20).fill(0x55)) }),
    withinMs: BOOT_MS,
    says: /guest did not become ready: .*Kernel panic/,
  },
  {
    name: "a file that is not a kernel",
    config: () => ({ kernel_path: file("kernel", new TextEncoder().encode("no kernel")) }),
    says: /guest did not become ready: qemu exited with code 1/,
  },
  {
    name: "a guest that never answers",
    config: () => ({
      initrd_path: file("initrd", tinyInitrd(`${INIT}echo waiting for nothing\nsleep 600\n`)),
      boot_timeout_seconds: BOOT_TIMEOUT_SECONDS,
    }),
    withinMs: BOOT_MS,
    says: /guest did not become ready within 6 s; last console line: waiting for nothing/,
  },
  {
    name: "a guest that reports ready and does not listen",
    config: () => ({
      initrd_path: file("initrd", tinyInitrd(`${INIT}echo ${GUEST_READY_MARKER}\nsleep 600\n`)),
    }),
    withinMs: BOOT_MS,
    says: /guest does not listen on vsock port 1025/,
  },
];

for (const { name, config, flags = [], withinMs = AT_ONCE_MS, says } of REFUSALS) {
  fault(`${name} fails ctr run with one sentence, and nothing is left`, async (id) => {
    try {
      if (config !== undefined) writeConfig(config());
      const client = ctr(...runArguments(id, FOREVER, { flags: ["--rm", ...flags] }));
      const { code, stdout, stderr } = await within("exit of ctr run", withinMs, client);
      assert.equal(code, 1, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, says);
      const lines = stderr.trim().split("\n");
      assert.equal(lines.length, 1, `more than one sentence: ${stderr}`);
    } finally {
      Deno.mkdirSync(FILES, { recursive: true });
      Deno.removeSync(FILES, { recursive: true });
      if (config !== undefined) Deno.removeSync(CONFIG);
    }
  });
}

const FILES = "/tmp/qemubox-refusals";

function writeConfig(config: Record<string, unknown> | string): void {
  Deno.mkdirSync("/etc/qemubox", { recursive: true });
  Deno.writeTextFileSync(CONFIG, typeof config === "string" ? config : JSON.stringify(config));
}

/** Writes a file for a configuration to name. Returns its path. */
function file(name: string, content: Uint8Array): string {
  Deno.mkdirSync(FILES, { recursive: true });
  Deno.writeFileSync(`${FILES}/${name}`, content);
  return `${FILES}/${name}`;
}
