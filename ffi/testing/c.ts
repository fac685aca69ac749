import assert from "node:assert/strict";

/** The C compiler of this machine, if it has one. */
export const compiler: string | undefined = ["cc", "gcc", "clang"].find(runs);

const HEADERS = [
  "fcntl.h",
  "net/if.h",
  "poll.h",
  "sched.h",
  "signal.h",
  "spawn.h",
  "stddef.h",
  "stdio.h",
  "sys/epoll.h",
  "sys/ioctl.h",
  "sys/mount.h",
  "sys/prctl.h",
  "sys/reboot.h",
  "sys/socket.h",
  "sys/stat.h",
  "sys/un.h",
  "time.h",
  "linux/blkpg.h",
  "linux/vm_sockets.h",
];

/** Returns the values of integer expressions in C, compiled with the system's headers. */
export async function evaluateInC(expressions: string[]): Promise<number[]> {
  const includes = HEADERS.map((header) => `#include <${header}>`).join("\n");
  const prints = expressions.map((each) => `printf("%lld\\n", (long long)(${each}));`).join("\n");
  const source = `#define _GNU_SOURCE\n${includes}\nint main(void) {\n${prints}\n}\n`;
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/expressions.c`, program = `${directory}/expressions`;
    await Deno.writeTextFile(file, source);
    const compiled = await new Deno.Command(compiler!, { args: ["-o", program, file] }).output();
    assert(compiled.success, new TextDecoder().decode(compiled.stderr));
    const { stdout } = await new Deno.Command(program).output();
    return new TextDecoder().decode(stdout).trim().split("\n").map(Number);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function runs(program: string): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}
