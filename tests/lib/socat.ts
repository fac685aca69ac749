/** busybox has no UDP, raw frames or vsock, so the testbed's socat comes from a volume. */
export const SOCAT_VOLUME = "type=bind,src=/usr,dst=/host,options=rbind:ro";
/** Command of a container with SOCAT_VOLUME. */
export const SOCAT =
  "/host/lib64/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu /host/bin/socat";
