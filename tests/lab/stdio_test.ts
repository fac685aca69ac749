import { inputComesBack, outputArrives } from "../lib/streams.ts";
import { lab } from "./lab.ts";

const MIB = 1024 * 1024;

lab("output of some size arrives over vhost-vsock, and input comes back", async (bench) => {
  await Promise.all([
    outputArrives(bench.newId(), "overlayfs", 16 * MIB),
    inputComesBack(bench.newId(), "erofs", 8 * MIB),
  ]);
});
