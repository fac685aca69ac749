/** A message from a netlink socket that does not have the layout of netlink(7). */
export class NetlinkFormatError extends Error {
  override readonly name = "NetlinkFormatError";

  constructor(message: string) {
    super(`netlink: ${message}`);
  }
}
