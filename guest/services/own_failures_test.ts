import assert from "node:assert/strict";
import { SystemError } from "../../ffi/mod.ts";
import { Code, guest, implement, RpcError } from "../../proto/mod.ts";
import { hideOwnFailures } from "./own_failures.ts";
import { processSpec, refused, withGuest } from "../testing/task_guest.ts";

/** Calls a method that throws `thrown`; returns what comes out and what is reported. */
async function callThrowing(thrown: unknown): Promise<{ error: RpcError; reported: unknown[] }> {
  const reported: unknown[] = [];
  const service = hideOwnFailures(
    implement(guest.Checkpoints, {
      list: () => {
        throw thrown;
      },
    }),
    (error, method) => reported.push(error, method),
  );
  const handler = service.methods.get("List")!.handler;
  const error = await Promise.resolve(handler({}, {} as never)).then(
    () => assert.fail("the call succeeded"),
    (error) => error,
  );
  assert(error instanceof RpcError);
  return { error, reported };
}

Deno.test("errors that are not RpcErrors leave as Internal, whatever their errno", async () => {
  const missing = await Deno.stat("/no/such/file").catch((error) => error);
  const failures = [
    missing,
    new SystemError("open", "ENOENT", { path: "/x" }),
    new SystemError("kill", "ESRCH"),
    new SystemError("mkdir", "EEXIST", { path: "/x" }),
    new DOMException("stopped", "AbortError"),
    new TypeError("bug"),
  ];
  assert.equal(missing.code, "ENOENT");
  for (const failure of failures) {
    const { error, reported } = await callThrowing(failure);
    assert.deepEqual([Code[error.code], error.message], ["Internal", failure.message]);
    assert.deepEqual(reported, [failure, "qemubox.guest.v1.Checkpoints/List"]);
  }
});

Deno.test("RpcErrors leave as they are, unreported", async () => {
  const refusal = new RpcError(Code.NotFound, "no container");
  assert.deepEqual(await callThrowing(refusal), { error: refusal, reported: [] });
});

Deno.test("a file missing inside vminitd is Internal, not a container that is gone", () =>
  withGuest(async ({ task, directory, create, exec }) => {
    await create("c1", "exec sleep 1000");
    await task.start({ id: "c1" });
    await exec("c1", "e1", "exit 0");
    await Deno.remove(`${directory}/scratch`, { recursive: true });
    const missing = refused(Code.Internal, /No such file or directory/);
    await assert.rejects(task.start({ id: "c1", execId: "e1" }), missing);
    const resources = processSpec({});
    resources.typeUrl = "opencontainers/runtime-spec/1/LinuxResources";
    await assert.rejects(task.update({ id: "c1", resources }), missing);
    await Deno.mkdir(`${directory}/scratch`);
    await task.kill({ id: "c1", signal: 9 });
    await task.wait({ id: "c1" });
    await task.delete({ id: "c1" });
  }));
