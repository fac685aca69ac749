import assert from "node:assert/strict";
import { Code, type MessageInitShape, packAny, runcOptions } from "../../proto/mod.ts";
import { checkpointOptions, notedFlags, noteFlags } from "./checkpoint_options.ts";
import { refused } from "../testing/task_guest.ts";

const asked = (options: MessageInitShape<typeof runcOptions.CheckpointOptionsSchema>) =>
  checkpointOptions(packAny(runcOptions.CheckpointOptionsSchema, options));

Deno.test("checkpointOptions maps each option to a flag of crun", () => {
  assert.deepEqual(checkpointOptions(undefined), { exit: false, crunFlags: [] });
  assert.deepEqual(asked({ exit: true, imagePath: "/x", workPath: "/y" }), {
    exit: true,
    crunFlags: [],
  });
  const all = asked({
    ...{ openTcp: true, externalUnixSockets: true, terminal: true, fileLocks: true },
    cgroupsMode: "full",
  });
  assert.deepEqual(all.crunFlags, [
    ...["--tcp-established", "--ext-unix-sk", "--shell-job", "--file-locks"],
    "--manage-cgroups-mode=full",
  ]);
});

Deno.test("an option that crun lacks is refused by name", () => {
  assert.throws(
    () => asked({ emptyNamespaces: ["network"] }),
    refused(Code.Unimplemented, /empty_namespaces/),
  );
  assert.throws(() => asked({ parentPath: "x" }), refused(Code.Unimplemented, /parent_path/));
  assert.throws(
    () => asked({ cgroupsMode: "odd" }),
    refused(Code.InvalidArgument, /cgroups_mode "odd" must be one of ignore, soft, full, strict/),
  );
  assert.throws(
    () => checkpointOptions(packAny(runcOptions.OptionsSchema, {})),
    refused(Code.InvalidArgument, /CheckpointOptions/),
  );
});

Deno.test("the flags of a checkpoint are saved with it, and anything but flags is refused", async () => {
  const directory = await Deno.makeTempDir();
  assert.deepEqual(notedFlags(directory), []);
  noteFlags(directory, { exit: true, crunFlags: ["--file-locks", "--manage-cgroups-mode=soft"] });
  assert.deepEqual(notedFlags(directory), ["--file-locks", "--manage-cgroups-mode=soft"]);
  for (const bad of ["", "{}", '["-x"]', '["--bundle=/etc"]', "[7]"]) {
    await Deno.writeTextFile(`${directory}/qemubox-flags.json`, bad);
    assert.throws(
      () => notedFlags(directory),
      refused(Code.InvalidArgument, /must be a list of crun flags/),
      bad,
    );
  }
  await Deno.remove(directory, { recursive: true });
});
