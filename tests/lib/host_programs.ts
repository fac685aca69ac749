/** Programs of the testbed in containers, whose busybox lacks them: they come from a volume. */

/** Volume of {@link hostProgram}. */
export const HOST_PROGRAMS = "type=bind,src=/usr,dst=/host,options=rbind:ro";

/** Returns the beginning of a command of a container with HOST_PROGRAMS. */
export function hostProgram(name: string): string {
  const loader = "/host/lib64/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu";
  return `${loader} /host/bin/${name}`;
}

/** For UDP, raw frames and vsock. */
export const SOCAT = hostProgram("socat");
