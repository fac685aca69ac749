import { inputComesBack, outputArrives } from "../lib/streams.ts";
import { lab } from "./lab.ts";

const MIB = 1024 * 1024;

lab(
  "16 MiB of output arrive over vhost-vsock, though the container ends with the last byte",
  (bench) => outputArrives(bench.newId(), "overlayfs", 16 * MIB),
);

lab(
  "8 MiB come back over vhost-vsock as they went in",
  (bench) => inputComesBack(bench.newId(), "erofs", 8 * MIB),
);
