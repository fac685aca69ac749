import { killEndsContainer } from "../lib/kills.ts";
import { lab } from "./lab.ts";

// vhost-device-vsock is missing here: the kernel carries vsock.
for (
  const name of ["the shim", "QEMU", "virtiofsd", "the process in virtiofsd's sandbox"] as const
) {
  lab(
    `SIGKILL of ${name} ends a running container`,
    (bench) => killEndsContainer(bench.newId(), name),
  );
}
