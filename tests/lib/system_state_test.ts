import assert from "node:assert/strict";
import {
  assertNothingLeft,
  difference,
  type Kind,
  snapshot,
  snapshotNow,
  type SystemState,
  TREES,
} from "./system_state.ts";
import { until } from "./wait.ts";

/** Runs `work` in a temporary directory; elsewhere on the machine things come and go. */
async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await work(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Returns what of one kind is new since `before`. */
function newOf(kind: Kind, before: SystemState): string[] {
  const { left } = difference(before, snapshotNow(before.options));
  return left.filter((one) => one.startsWith(`${kind}: `));
}

Deno.test("a snapshot has a process with its command line until it is reaped", async () => {
  const before = await snapshot({ kinds: ["process"] });
  const child = new Deno.Command("cat", { args: ["-", "leftover"], stdin: "piped" }).spawn();
  const mine = () => newOf("process", before).filter((one) => one.includes(`: ${child.pid} `));
  // Until it has executed the program it is a copy of this one.
  await until("exec of cat", 10_000, () => mine()[0]?.endsWith("/cat - leftover") || null);
  assert.match(mine()[0]!, /^process: \d+ started at \d+: \S*\/cat - leftover$/);
  child.kill("SIGKILL");
  await child.stdin.close().catch(() => {});
  await child.status;
  assert.deepEqual(mine(), []);
});

Deno.test("a snapshot has files of any kind, including nested ones and dangling links", async () => {
  await withDirectory(async (directory) => {
    const before = await snapshot({
      kinds: ["file"],
      trees: [directory, `${directory}/not there`],
    });
    Deno.mkdirSync(`${directory}/a/b`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/a/b/file`, "");
    Deno.symlinkSync("nowhere", `${directory}/link`);
    const paths = ["a", "a/b", "a/b/file", "link"];
    assert.deepEqual(newOf("file", before), paths.map((path) => `file: ${directory}/${path}`));
  });
});

Deno.test("a snapshot has a listening socket by its path, even without its file, and no connection to it", async () => {
  await withDirectory(async (directory) => {
    const before = await snapshot({ kinds: ["socket"] });
    const path = `${directory}/with space`;
    using _listener = Deno.listen({ transport: "unix", path });
    using _connection = await Deno.connect({ transport: "unix", path });
    Deno.removeSync(path);
    assert.deepEqual(newOf("socket", before).filter((one) => one.includes(directory)), [
      `socket: ${path}`,
    ]);
  });
});

Deno.test("a snapshot has this process's descriptors if asked for", async () => {
  await withDirectory((directory) => {
    const before = snapshotNow({ kinds: ["descriptor"] });
    const path = `${directory}/file`;
    using _file = Deno.openSync(path, { create: true, write: true });
    assert.deepEqual(newOf("descriptor", before), [`descriptor: ${path}`]);
    return Promise.resolve();
  });
});

Deno.test("a snapshot has a namespace as long as a process is in it", {
  ignore: Deno.uid() !== 0,
}, async () => {
  const before = await snapshot({ kinds: ["namespace", "link"] });
  const child = new Deno.Command("unshare", {
    args: ["--mount", "--net", "--", "sh", "-c", "echo; cat"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = child.stdout.getReader();
  await output.read();
  const mine = (kind: string) => Deno.readLinkSync(`/proc/${child.pid}/ns/${kind}`);
  const expected = ["mnt", "net"].map((kind) => `namespace: ${mine(kind)}`);
  const seen = newOf("namespace", before);
  assert.deepEqual(expected.filter((one) => !seen.includes(one)), []);
  assert(newOf("link", before).includes(`link: lo in ${mine("net")}`));
  await child.stdin.close();
  await child.status;
  await output.cancel();
  const now = newOf("namespace", before);
  assert.deepEqual(expected.filter((one) => now.includes(one)), []);
});

Deno.test("difference names what is left and what is missing", () => {
  const state = (file: string[]) => ({ options: {}, things: { file, mount: ["/ is ext4"] } });
  assert.deepEqual(difference(state(["a", "b", "b"]), state(["b", "c", "c"])), {
    left: ["file: c", "file: c"],
    missing: ["file: a", "file: b"],
  });
  assert.deepEqual(difference(state(["a"]), state(["a"])), { left: [], missing: [] });
});

Deno.test("assertNothingLeft waits until leftovers are gone", async () => {
  await withDirectory(async (directory) => {
    const before = snapshotNow({ kinds: ["file"], trees: [directory] });
    Deno.mkdirSync(`${directory}/soon gone`);
    const wait = assertNothingLeft(before);
    Deno.removeSync(`${directory}/soon gone`);
    await wait;
  });
});

Deno.test("assertNothingLeft fails with the name of what stays too long", async () => {
  await withDirectory(async (directory) => {
    const before = snapshotNow({ kinds: ["file"], trees: [directory] });
    Deno.writeTextFileSync(`${directory}/stays`, "");
    await assert.rejects(assertNothingLeft(before, { withinMs: 0 }), {
      name: "AssertionError",
      message: new RegExp(`left: file: ${directory}/stays$`, "m"),
    });
    Deno.removeSync(`${directory}/stays`);
  });
});

Deno.test("shared logs are not leftovers, lease directories are", () => {
  assert(!TREES.some((tree) => "/var/log/qemubox".startsWith(tree)));
  assert(TREES.includes("/run/qemubox"));
});
