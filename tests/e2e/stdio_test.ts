import { inputComesBack, outputArrives } from "../lib/streams.ts";
import { e2e, withBoth } from "../lib/testbed.ts";

const MIB = 1024 * 1024;

e2e("32 MiB of output arrive, though the container ends with the last byte", async (bench) => {
  await withBoth((snapshotter) => outputArrives(bench.newId(), snapshotter, 32 * MIB));
});

e2e("20 MiB come back out of the container as they went in", async (bench) => {
  await withBoth((snapshotter) => inputComesBack(bench.newId(), snapshotter, 20 * MIB));
});
