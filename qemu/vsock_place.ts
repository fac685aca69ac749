import type { CommandLine } from "./helper_commands.ts";
import { vhostDeviceVsockCommand } from "./helper_commands.ts";

const DIRECTORY = "vsock";
const VHOST_SOCKET = "vhost-vsock.sock";
const DIAL_SOCKET = "vsock.sock";

/** The directory in which vhost-device-vsock makes its sockets. Disposing it removes it. */
export class VsockPlace implements Disposable {
  /** Working directory of the helper: its command names the sockets without directory. */
  readonly cwd: string;
  /** Socket that QEMU connects to. */
  readonly vhostSocket: string;
  /** Socket through which the host dials the guest. */
  readonly dialSocket: string;

  /**
   * Makes the directory.
   *
   * @param shortPath path of `runDirectory` that leaves room for a socket's name.
   * @param id user and group id of the helper; null: that of this process.
   */
  constructor(runDirectory: string, shortPath: string, id: number | null) {
    this.cwd = `${runDirectory}/${DIRECTORY}`;
    this.vhostSocket = `${shortPath}/${DIRECTORY}/${VHOST_SOCKET}`;
    this.dialSocket = `${shortPath}/${DIRECTORY}/${DIAL_SOCKET}`;
    Deno.mkdirSync(this.cwd, { mode: 0o700 });
    if (id !== null) Deno.chownSync(this.cwd, id, id);
  }

  command(path: string, cid: number): CommandLine {
    const sockets = { vhostSocket: VHOST_SOCKET, dialSocket: DIAL_SOCKET };
    return vhostDeviceVsockCommand({ path, cid, ...sockets });
  }

  /** Once the helper has made its sockets, it can neither replace them nor find others. */
  seal(): void {
    Deno.chownSync(this.cwd, Deno.uid()!, Deno.gid()!);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.cwd, { recursive: true });
  }
}
