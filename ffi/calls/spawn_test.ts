import assert from "node:assert/strict";
import { O, SIG } from "../constants.ts";
import { Child } from "../child.ts";
import { FdStream } from "../fd_stream.ts";
import { system } from "../real_system.ts";
import type { Fd, SpawnCommand } from "../system.ts";
import { isSystemError } from "../system_error.ts";

const openFds = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
const throwsWith = (code: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code));

async function readText(fd: Fd): Promise<string> {
  using stream = new FdStream(fd);
  const decoder = new TextDecoder();
  const into = new Uint8Array(4096);
  let text = "";
  for (let n = await stream.read(into); n !== null; n = await stream.read(into)) {
    text += decoder.decode(into.subarray(0, n), { stream: true });
  }
  return text;
}

/** Runs a command; returns its standard output and exit code. */
async function run(command: SpawnCommand): Promise<{ output: string; code: number }> {
  const { read, write } = system.pipe({ nonblock: "read" });
  const child = Child.spawn({ ...command, fds: { 1: write, ...command.fds } });
  system.close(write);
  const output = await readText(read);
  return { output, code: (await child.exited).code };
}

const shell = (script: string, more: Partial<SpawnCommand> = {}): SpawnCommand => ({
  path: "/bin/sh",
  args: ["-c", script],
  ...more,
});

Deno.test("spawn passes arguments unchanged", async () => {
  const args = ["a b", "", "ü", "$HOME", "'\"\\"];
  const { output, code } = await run({ path: "/usr/bin/printf", args: ["<%s>", ...args] });
  assert.equal(output, args.map((each) => `<${each}>`).join(""));
  assert.equal(code, 0);
});

Deno.test("argv[0] is the path, or the given argv0", async () => {
  const read = "cat /proc/$$/cmdline";
  assert.equal((await run(shell(read))).output.split("\0")[0], "/bin/sh");
  assert.equal((await run(shell(read, { argv0: "-sh" }))).output.split("\0")[0], "-sh");
});

Deno.test("env is the whole environment, by default that of this process", async () => {
  const given = await run({ path: "/usr/bin/env", args: [], env: { A: "1", B: "x y" } });
  assert.equal(given.output, "A=1\nB=x y\n");
  assert.equal((await run({ path: "/usr/bin/env", args: [], env: {} })).output, "");
  const inherited = await run({ path: "/usr/bin/env", args: [] });
  assert(inherited.output.includes(`PATH=${Deno.env.get("PATH")}\n`));
});

Deno.test("the working directory is that of this process, or cwd", async () => {
  const pwd = { path: "/bin/pwd", args: [], env: {} };
  assert.equal((await run(pwd)).output, `${Deno.cwd()}\n`);
  assert.equal((await run({ ...pwd, cwd: "/proc" })).output, "/proc\n");
});

Deno.test("newSession makes the child a session leader", async () => {
  const session = async (newSession: boolean): Promise<boolean> => {
    const { output } = await run(shell("cat /proc/$$/stat", { newSession }));
    const [pid, , , , , sid] = output.split(" ");
    return pid === sid;
  };
  assert.equal(await session(true), true);
  assert.equal(await session(false), false);
});

Deno.test("no signal is blocked or ignored in the child", async () => {
  const { output } = await run({ path: "/bin/cat", args: ["/proc/self/status"] });
  assert.match(output, /^SigBlk:\s0+$/m);
  assert.match(output, /^SigIgn:\s0+$/m);
});

Deno.test("a child has the descriptors it was given and no other", async () => {
  const leaky = system.open("/dev/zero", O.RDONLY);
  system.setCloexec(leaky, false);
  const extra = system.memfd("extra");
  const { output } = await run({
    path: "/bin/ls",
    args: ["-l", "/proc/self/fd/"],
    fds: { 5: extra, 7: "null" },
  });
  const found = [...output.matchAll(/ (\d+) -> (\S+)/g)].map(([, fd, what]) => `${fd} ${what}`);
  const own = found.find((line) => line.includes("/proc/"))!; // opened by ls itself
  const rest = found.filter((line) => line !== own).map((line) => line.replace(/\[\d+\]/, ""));
  assert.deepEqual(rest, [
    "0 /dev/null",
    "1 pipe:",
    "2 /dev/null",
    "5 /memfd:extra",
    "7 /dev/null",
  ]);
  system.close(leaky);
  system.close(extra);
});

Deno.test("descriptors may swap numbers or keep them", async () => {
  const first = system.pipe({ nonblock: "read" });
  const second = system.pipe({ nonblock: "read" });
  const third = system.pipe({ nonblock: "read" });
  const [a, b, c] = [first.write, second.write, third.write];
  const say = (text: string, fd: Fd) => `echo ${text} > /proc/self/fd/${fd};`;
  const command = shell(say("to-a", a) + say("to-b", b) + say("to-c", c), {
    fds: { [a]: b, [b]: a, [c]: c },
  });
  const before = openFds();
  const child = Child.spawn(command);
  for (const fd of [a, b, c]) system.close(fd);
  const ends = [first.read, second.read, third.read];
  const [inFirst, inSecond, inThird] = await Promise.all(ends.map(readText));
  assert.equal((await child.exited).code, 0);
  assert.deepEqual([inFirst, inSecond, inThird], ["to-b\n", "to-a\n", "to-c\n"]);
  assert.equal(openFds(), before - 6);
});

Deno.test("SIGPIPE kills a child", async () => {
  const child = Child.spawn(shell("kill -PIPE $$; exit 3"));
  const { signal, code } = await child.exited;
  assert.deepEqual([signal, code], [SIG.PIPE, 128 + SIG.PIPE]);
});

Deno.test("a failed spawn names the path and leaks nothing", async () => {
  await Child.spawn(shell("exit 0")).exited; // opens the poller's own descriptors
  const before = openFds();
  const program = { args: [], env: {} };
  assert.throws(() => system.spawn({ path: "/no/such", ...program }), {
    code: "ENOENT",
    path: "/no/such",
  });
  assert.throws(() => system.spawn({ path: "/bin/sh", ...program, cwd: "/no/dir" }), {
    code: "ENOENT",
    path: "/no/dir",
  });
  throwsWith("EACCES", () => system.spawn({ path: "/etc/passwd", ...program }));
  throwsWith("EBADF", () => system.spawn({ path: "/bin/sh", ...program, fds: { 1: 999 as Fd } }));
  assert.throws(() => system.spawn({ path: "/bin/sh", args: ["a\0b"] }), TypeError);
  assert.throws(
    () => system.spawn({ path: "/bin/sh", args: [], fds: { 5000: "null" } }),
    RangeError,
  );
  assert.equal(openFds(), before);
});
