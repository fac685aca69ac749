import assert from "node:assert/strict";
import {
  type Any,
  cgroups,
  Code,
  packAny,
  RpcError,
  runcOptions,
  unpackAny,
} from "../../proto/mod.ts";
import { Balloon } from "../../qemu/mod.ts";
import {
  c1,
  execRequest,
  held,
  json,
  outcome,
  QEMU,
  request,
  settled,
  SIGKILL,
  SIGTERM,
  World,
  worldIn,
  worldWithExec,
} from "../testing/task_world.ts";
import { settle } from "../testing/test_support.ts";

Deno.test("pids lists the guest's processes, and QEMU after the exit", async () => {
  assert.deepEqual(await (await worldIn("running")).service.controls.pids(c1), {
    processes: [{ pid: 7 }, { pid: 8 }],
  });
  assert.deepEqual(await (await worldIn("stopped")).service.controls.pids(c1), {
    processes: [{ pid: QEMU }],
  });
  // A containerd that starts must not find nothing, be it while the output is still delivered.
  const ending = await worldIn("running");
  ending.onDrain = () => held().promise;
  ending.exit(0);
  await settle();
  assert.deepEqual(await ending.service.controls.pids(c1), { processes: [{ pid: QEMU }] });
  const ended = await worldIn("running");
  ended.processes = [];
  assert.deepEqual(await ended.service.controls.pids(c1), { processes: [{ pid: QEMU }] });
});

Deno.test("a guest that does not answer SIGKILL loses its VM", async () => {
  for (const code of [Code.DeadlineExceeded, Code.Unavailable]) {
    const world = await worldIn("running");
    world.onCall = () => Promise.reject(new RpcError(code, "no answer"));
    await world.service.controls.kill({ ...c1, signal: SIGKILL, all: true });
    assert.equal((await world.service.wait(c1)).exitStatus, 137);
  }
});

Deno.test("the caller gets the errors of other signals and other codes", async () => {
  const world = await worldIn("running");
  world.onCall = () => Promise.reject(new RpcError(Code.Unavailable, "no answer"));
  assert.equal(
    await outcome(() => world.service.controls.kill({ ...c1, signal: SIGTERM, all: false })),
    "Unavailable",
  );
  world.onCall = () => Promise.reject(new RpcError(Code.NotFound, "already finished"));
  assert.equal(
    await outcome(() => world.service.controls.kill({ ...c1, signal: SIGKILL, all: false })),
    "NotFound",
  );
  assert.equal(world.service.state(c1).status, 2);
});

Deno.test("closeIO does nothing for streams other than stdin", async () => {
  const world = await worldIn("running");
  world.service.controls.closeIO({ ...c1, stdin: false });
  assert.deepEqual(world.news(), []);
  world.service.controls.closeIO({ ...c1, stdin: true });
  assert.deepEqual(world.news(), ["stdin closed"]);
});

Deno.test("a pause that the exit overtakes is not published", async () => {
  const world = await worldIn("running");
  const pause = held();
  world.onCall = () => pause.promise;
  const pausing = world.service.controls.pause(c1);
  world.exit(0);
  await world.service.wait(c1);
  pause.release();
  await pausing;
  assert.deepEqual(world.news(), ["guest pause", `/tasks/exit 0 pid ${QEMU}`]);
});

Deno.test("pids marks known execs, and nothing that the guest makes up", async () => {
  const world = await worldWithExec("running");
  const info = (execId: string) => packAny(runcOptions.ProcessDetailsSchema, { execId });
  world.processes = [
    { pid: 1 },
    { pid: 2, info: info("e1") },
    { pid: 3, info: info("e2") },
    { pid: 4, info: { typeUrl: "x", value: new Uint8Array(9) } },
  ];
  const { processes } = await world.service.controls.pids(c1);
  assert.deepEqual(processes.map(({ pid, info }) => [pid, info !== undefined]), [
    ...[[1, false], [2, true], [3, false], [4, false]],
  ]);
  assert.equal(unpackAny(runcOptions.ProcessDetailsSchema, processes[1]!.info!).execId, "e1");
  world.processes = Array(40_000).fill({ pid: 1 });
  assert.equal(await outcome(() => world.service.controls.pids(c1)), "Internal");
});

Deno.test("stats returns metrics of their type, or an error", async () => {
  const world = await worldIn("running");
  const stats = async () => (await world.service.controls.stats(c1)).stats as Any;
  assert.equal(unpackAny(cgroups.MetricsSchema, await stats()).pids?.current, 3n);
  const value = new Uint8Array(300_000);
  const { typeUrl } = await stats();
  for (
    const wrong of [undefined, { typeUrl: "x", value: value.subarray(0, 1) }, { typeUrl, value }]
  ) {
    world.stats = wrong;
    assert.equal(await outcome(stats), "Internal");
  }
});

Deno.test("resizePty takes 16-bit sizes, and does nothing without a terminal", async () => {
  const world = await worldIn("running");
  const { controls } = world.service;
  await controls.resizePty({ ...c1, width: 80, height: 25 });
  assert.deepEqual(world.news(), []);
  const spec = json("Process", { args: ["sh"], cwd: "/", terminal: true }) as Any;
  await world.service.exec({ ...execRequest("t"), terminal: true, spec });
  world.news();
  const t = { id: "c1", execId: "t" };
  await controls.resizePty({ ...t, width: 80, height: 65_535 });
  assert.deepEqual(world.news(), ["guest resizePty t"]);
  const huge = () => controls.resizePty({ ...t, width: 65_536, height: 1 });
  assert.equal(await outcome(huge), "InvalidArgument");
});

Deno.test("memory is held back once the container runs, and follows its limit", async () => {
  const world = new World();
  const monitor = {
    execute: (_: string, { value }: Record<string, unknown>) => {
      world.trace.push(`balloon ${Number(value) >> 20}`);
      return Promise.resolve({});
    },
  };
  world.balloon = new Balloon(monitor, { least: 384, most: 768 }, () => {});
  await world.service.create(request);
  assert(!world.news().some((line) => line.startsWith("balloon")));
  await world.service.start(c1);
  await settled(world);
  assert.equal(world.balloon.size, 384);
  const update = (mib: number) => {
    const value = new TextEncoder().encode(JSON.stringify({ memory: { limit: mib * 2 ** 20 } }));
    const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
    return world.service.controls.update({ id: "c1", resources: { typeUrl, value } as Any });
  };
  await update(512);
  await settle();
  assert.deepEqual(world.news(), ["balloon 768", "guest update"]);
  await update(200);
  await settle();
  assert.deepEqual(world.news(), ["guest update", "balloon 512"]);
  world.onCall = () => Promise.reject(new RpcError(Code.Internal, "crun would not"));
  assert.equal(await outcome(() => update(512)), "Internal");
  await settle();
  assert.deepEqual(world.news(), ["balloon 768", "guest update", "balloon 512"]);
  assert.equal(await outcome(() => update(513)), "FailedPrecondition");
  assert.deepEqual(world.news(), []);
});
