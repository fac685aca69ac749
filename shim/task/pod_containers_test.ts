import assert from "node:assert/strict";
import { Code, RpcError } from "../../proto/mod.ts";
import type { Pod } from "../sandbox/pod.ts";
import { c1, outcome, QEMU, request, settled, World } from "../testing/task_world.ts";

/** Makes a world with a pod, whose first container is c1. */
async function podWorld(): Promise<World> {
  const world = new World();
  world.pod = {
    hostPid: QEMU,
    size: { memoryMib: 384, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 },
  } as Pod;
  await world.service.create(request);
  await world.service.start(c1);
  return settled(world);
}
const c2 = { id: "c2", execId: "" };

Deno.test("containers join and leave a pod, and the VM ends with the last one", async () => {
  const world = await podWorld();
  const joining = { ...request, id: "c2", bundle: "/bundle-2" };
  assert.deepEqual(await world.service.create(joining), { pid: QEMU });
  await world.service.start(c2);
  assert.equal(world.service.state(c2).pid, QEMU);
  assert.deepEqual(world.news(), [
    "c2 joins",
    "/tasks/create pid 4711",
    "guest start",
    "/tasks/start pid 4711",
  ]);
  assert.equal(
    await outcome(() => world.service.create({ ...request, id: "c2" })),
    "AlreadyExists",
  );
  world.exit(4, "c2");
  assert.equal((await world.service.wait(c2)).exitStatus, 4);
  assert.equal((await world.service.delete(c2)).exitStatus, 4);
  await world.service.shutdown(); // not yet
  assert.deepEqual(world.news(), [
    "/tasks/exit 4 pid 4711 of c2",
    "/bundle-2 left /bundle",
    "c2 leaves",
    "/tasks/delete 4 pid 4711",
  ]);
  // Its name is free, and the first may go before others.
  await world.service.create(joining);
  world.exit(0);
  await world.service.wait(c1);
  await world.service.delete(c1);
  assert.deepEqual(world.news().filter((line) => /left|ends/.test(line)), [
    "/bundle left /bundle-2",
  ]);
  await world.service.delete(c2);
  assert.deepEqual(world.news().filter((line) => /leaves|left|ends/.test(line)), ["sandbox ends"]);
});

Deno.test("a container that cannot join its pod is not added, and may try again", async () => {
  const world = await podWorld();
  world.onJoin = () => Promise.reject(new RpcError(Code.Internal, "no such image"));
  assert.equal(await outcome(() => world.service.create({ ...request, id: "c2" })), "Internal");
  assert.equal(await outcome(() => world.service.state(c2)), "NotFound");
  const joining = Promise.withResolvers<void>();
  world.onJoin = () => joining.promise;
  const first = world.service.create({ ...request, id: "c2" });
  const second = world.service.create({ ...request, id: "c2" });
  assert.equal(await outcome(() => second), "AlreadyExists");
  // Nobody ends the VM under what is about to come into it.
  world.exit(0);
  await world.service.wait(c1);
  await world.service.delete(c1);
  await world.service.shutdown();
  assert(!world.news().includes("sandbox ends"));
  joining.resolve();
  await first;
  assert.equal(await outcome(() => world.service.state(c2)), "OK");
});

Deno.test("delete succeeds and logs what a container left in its pod", async () => {
  const world = await podWorld();
  world.onLeave = () => Promise.reject(new Error("busy"));
  await world.service.create({ ...request, id: "c2" });
  await world.service.delete(c2);
  assert.deepEqual(world.log.at("warn"), ["container c2 left something behind: busy"]);
  assert.equal(await outcome(() => world.service.state(c2)), "NotFound");
  assert(world.service.isClean);
});

Deno.test("all containers of a lost VM are reported killed", async () => {
  const world = await podWorld();
  await world.service.create({ ...request, id: "c2" });
  await world.service.start(c2);
  world.news();
  world.listener!.onLost("QEMU ended");
  assert.equal((await world.service.wait(c2)).exitStatus, 137);
  assert.equal((await world.service.wait(c1)).exitStatus, 137);
  assert.deepEqual(world.news().filter((line) => line.startsWith("/tasks/exit")), [
    "/tasks/exit 137 pid 4711",
    "/tasks/exit 137 pid 4711 of c2",
  ]);
  await world.service.delete(c2);
  assert(!world.news().includes("c2 leaves"), "there is nothing to leave any more");
});
