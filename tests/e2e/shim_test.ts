/** The shim's program, called as containerd calls it, without containerd and without a VM. */

import assert from "node:assert/strict";
import { isThere } from "../../base/mod.ts";
import { connectUnix } from "../../ffi/mod.ts";
import {
  bootstrap,
  type Client,
  Code,
  create,
  createClient,
  fromBinary,
  RpcError,
  runcOptions,
  taskV2,
  taskV3,
  toBinary,
  TtrpcConnection,
  types,
} from "../../proto/mod.ts";
import { until, within } from "../lib/wait.ts";
import { argumentsOf, shimOf } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";

const SHIM = "containerd-shim-qemubox-v1";
const NAMESPACE = "e2e-shim";
const ADDRESS = "/run/containerd/containerd.sock";
const ENDS_WITHIN_MS = 10_000;
const EX_USAGE = 64;

e2e("-v prints the version for people, -info for containerd", async () => {
  const version = await shim(["-v"]);
  assert.equal(version.code, 0);
  assert.match(version.text, /^containerd-shim-qemubox-v1:\n +Version: +\d+\.\d+\.\d+\n/);

  for (
    const request of [new Uint8Array(), toBinary(types.RuntimeRequestSchema, runtimeRequest())]
  ) {
    const { code, stdout, stderr } = await shim(["-info"], { stdin: request });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const info = fromBinary(types.RuntimeInfoSchema, stdout);
    assert.equal(info.name, "io.containerd.qemubox.v1");
    assert(version.text.includes(` ${info.version!.version}\n`));
    assert.equal(info.options!.typeUrl, runcOptions.OptionsSchema.typeName);
  }
});

e2e("a wrong command line is refused with what is wrong in it", async () => {
  const flags = ["-namespace", NAMESPACE, "-id", "e2e", "-address", ADDRESS];
  const wrong: [string[], RegExp][] = [
    [[], /no action given/],
    [[...flags, "stop"], /unknown action stop/],
    [["-no-such-flag", "start"], /unknown flag -no-such-flag/],
    [["-namespace", NAMESPACE, "start"], /flag -id is required/],
    [["-namespace", NAMESPACE, "-id", "../x", "start"], /id "\.\.\/x" is not an identifier/],
  ];
  for (const [args, message] of wrong) {
    const { code, text, stderr } = await shim(args);
    assert.equal(code, EX_USAGE, args.join(" "));
    assert.match(stderr, message);
    assert.equal(text, "");
  }
});

e2e("start takes flags and prints JSON, as containerd up to 2.2 calls it", async (bench) => {
  await using bundle = await Bundle.make();
  const id = bench.newId();
  const { code, text, stderr } = await start(id, bundle);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const { address, ...rest } = JSON.parse(text);
  assert.deepEqual(rest, { version: 3, protocol: "ttrpc" });
  assert.match(address, /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/);

  const second = await start(id, bundle);
  assert.notEqual(second.code, 0);
  assert.match(second.stderr, new RegExp(`shim of ${NAMESPACE}/${id} is already running`));
  // One call of each version of the API, on one connection.
  const first = await connect(address);
  await rejectsWith(Code.NotFound, first.task.state({ id }));
  await rejectsWith(Code.NotFound, createClient(taskV2.Task, first.connection).state({ id }));
  await rejectsWith(Code.NotFound, first.task.checkpoint({ id, path: "/tmp" }));
  const pid = shimOf(id, NAMESPACE);
  assert.equal(await Deno.realPath(`/proc/${pid}/cwd`), await Deno.realPath(bundle.path));
  // Hanging up does not end the shim.
  first.connection.close();

  const last = await connect(address);
  await shutdown(last, id);
  assert.throws(() => argumentsOf(pid), Deno.errors.NotFound);
});

e2e("start takes and prints protobuf, as containerd from 2.3 on calls it", async (bench) => {
  await using bundle = await Bundle.make();
  const id = bench.newId();
  const socketDir = `${bundle.path}/sockets`;
  const params = create(bootstrap.BootstrapParamsSchema, {
    instanceId: id,
    namespace: NAMESPACE,
    logLevel: bootstrap.LogLevel.DEBUG,
    containerdVersion: "2.3.0",
    containerdTtrpcAddress: `${ADDRESS}.ttrpc`,
    containerdGrpcAddress: ADDRESS,
    containerdBinary: "/usr/bin/containerd",
    socketDir,
  });
  const stdin = toBinary(bootstrap.BootstrapParamsSchema, params);
  const { code, stdout, stderr } = await start(id, bundle, stdin);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const result = fromBinary(bootstrap.BootstrapResultSchema, stdout);
  assert.equal(result.version, 3);
  assert.equal(result.protocol, "ttrpc");
  assert(result.address.startsWith(`unix://${socketDir}/`), result.address);
  const { task, connection } = await connect(result.address);
  await rejectsWith(Code.NotFound, task.connect({ id }));
  // It has the log level of the parameters.
  assert(argumentsOf(shimOf(id, NAMESPACE)).includes("-debug"));
  await shutdown({ task, connection }, id);
  await Deno.remove(socketDir);
});

e2e("delete of an unknown sandbox succeeds, and reports status 137", async (bench) => {
  await using bundle = await Bundle.make();
  const args = ["-namespace", NAMESPACE, "-id", bench.newId(), "-address", ADDRESS];
  const { code, stdout, stderr } = await shim([...args, "-bundle", bundle.path, "delete"]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const response = fromBinary(taskV3.DeleteResponseSchema, stdout);
  assert.equal(response.exitStatus, 137);
  assert.equal(response.pid, 0);
});

/** A bundle's directory, with what `start` needs of it. */
class Bundle implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Bundle> {
    return new Bundle(await Deno.makeTempDir({ prefix: "e2e-bundle-" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

function runtimeRequest(): types.RuntimeRequest {
  return create(types.RuntimeRequestSchema, { runtimePath: SHIM });
}

async function start(id: string, bundle: Bundle, stdin?: Uint8Array) {
  const args = ["-namespace", NAMESPACE, "-id", id, "-address", ADDRESS];
  return await shim([...args, "-publish-binary", "/usr/bin/containerd", "start"], {
    cwd: bundle.path,
    ...(stdin === undefined ? {} : { stdin }),
  });
}

/** Runs the shim until it exits and its output ends, which nothing it started may hold open. */
async function shim(args: string[], options: { cwd?: string; stdin?: Uint8Array } = {}) {
  const { stdin, ...rest } = options;
  const child = new Deno.Command(SHIM, {
    args,
    env: { TTRPC_ADDRESS: `${ADDRESS}.ttrpc` },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...rest,
  }).spawn();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    if (stdin.length > 0) await writer.write(stdin);
    await writer.close();
  }
  const output = await within(`${SHIM} ${args.join(" ")}`, ENDS_WITHIN_MS, child.output());
  const text = new TextDecoder();
  return {
    code: output.code,
    stdout: output.stdout,
    text: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

interface Connected {
  readonly connection: TtrpcConnection;
  readonly task: Client<typeof taskV3.Task>;
}

async function connect(address: string): Promise<Connected> {
  const stream = await connectUnix(address.replace("unix://", ""));
  const connection = new TtrpcConnection(stream);
  return { connection, task: createClient(taskV3.Task, connection) };
}

async function rejectsWith(code: Code, call: Promise<unknown>): Promise<void> {
  await assert.rejects(
    within("answer", ENDS_WITHIN_MS, call),
    (error) => error instanceof RpcError && error.code === code,
  );
}

/** Calls Shutdown: the shim must answer, hang up, and exit. */
async function shutdown({ task, connection }: Connected, id: string): Promise<void> {
  const pid = shimOf(id, NAMESPACE);
  await within("answer to Shutdown", ENDS_WITHIN_MS, task.shutdown({ id }));
  await within("end of the connection", ENDS_WITHIN_MS, connection.closed);
  connection.close();
  await until("exit of the shim", ENDS_WITHIN_MS, () => !isThere(`/proc/${pid}`) || null);
}
