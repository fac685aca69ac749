import { MIB } from "../../base/mod.ts";
import { inputComesBack, outputArrives } from "../lib/streams.ts";
import { lab } from "./lab.ts";

lab(
  "16 MiB of output arrive over vhost-vsock, though the container exits with the last byte",
  (bench) => outputArrives(bench.newId(), "overlayfs", 16 * MIB),
);

lab(
  "8 MiB of stdin come back unchanged over vhost-vsock",
  (bench) => inputComesBack(bench.newId(), "erofs", 8 * MIB),
);
