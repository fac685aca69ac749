import assert from "node:assert/strict";
import { inheritedEnvironment } from "./environment.ts";

Deno.test("settings and containerd's contract are inherited", () => {
  const kept = {
    ...{ PATH: "/usr/bin", HOME: "/root", TTRPC_ADDRESS: "/run/c.ttrpc", GRPC_ADDRESS: "/run/c" },
    ...{ NAMESPACE: "default", MAX_SHIM_VERSION: "2", CONTAINERD_PARENT: "1" },
    ...{ QEMUBOX_RUN_DIR: "/run/q", QEMUBOX_UNKNOWN: "refused by the configuration" },
  };
  assert.deepEqual(inheritedEnvironment(kept), kept);
});

Deno.test("nothing that changes how a program runs is inherited", () => {
  const dropped = [
    ...[
      "LD_PRELOAD",
      "LD_LIBRARY_PATH",
      "LD_AUDIT",
      "GLIBC_TUNABLES",
      "GCONV_PATH",
      "MALLOC_ARENA_",
    ],
    ...["DENO_DIR", "DENO_V8_FLAGS", "DENO_TLS_CA_STORE", "DENO_LOG", "OTEL_DENO", "NO_COLOR"],
    ...["OTEL_EXPORTER_OTLP_ENDPOINT", "NODE_OPTIONS", "NODE_DEBUG", "NODE_EXTRA_CA_CERTS"],
    ...["RUST_LOG", "RUST_BACKTRACE", "TMPDIR", "http_proxy", "HTTPS_PROXY", "NOTIFY_SOCKET"],
    ...["BASH_ENV", "ENV", "IFS", "path", "QEMUBOX", "QEMU_AUDIO_DRV", ""],
  ];
  const variables = Object.fromEntries(dropped.map((name) => [name, "x"]));
  assert.deepEqual(inheritedEnvironment(variables), {});
});
