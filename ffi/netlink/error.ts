/** What came over a netlink socket is not laid out as netlink(7) says. */
export class NetlinkFormatError extends Error {
  override readonly name = "NetlinkFormatError";

  constructor(message: string) {
    super(`netlink: ${message}`);
  }
}
