import { MIB } from "../../base/mod.ts";
import { inputComesBack, outputArrives } from "../lib/streams.ts";
import { e2e, withBoth } from "../lib/testbed.ts";

e2e("32 MiB of output arrive, though the container exits with the last byte", async (bench) => {
  await withBoth((snapshotter) => outputArrives(bench.newId(), snapshotter, 32 * MIB));
});

e2e("20 MiB of stdin come back unchanged", async (bench) => {
  await withBoth((snapshotter) => inputComesBack(bench.newId(), snapshotter, 20 * MIB));
});
