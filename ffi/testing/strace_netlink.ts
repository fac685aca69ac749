import assert from "node:assert/strict";

/** Sets up a network namespace in which v0 is link 3 and tap0 link 4. */
const SETUP = `
ip link add v0 type veth peer name v1
ip tuntap add tap0 mode tap
ip link set v1 up
ip link set v0 up
`;
/** Offset of nlmsg_seq of struct nlmsghdr: eight hex digits that differ between runs. */
const SEQUENCE_AT = 16;

/**
 * Returns the messages that ip(8) and tc(8) send, in hex with the sequence number set to zero: the
 * last message of each command, captured by strace. Needs root, iproute2 and strace.
 */
export async function straceNetlink(
  commands: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const script = [
    "set -e",
    SETUP,
    ...Object.entries(commands).map(([name, command]) =>
      `echo "## ${name}" >&2\nstrace -qq -e trace=sendmsg -e write=all -s0 ${command}`
    ),
  ].join("\n");
  const { success, stderr } = await new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", script],
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert(success, text);
  const found: Record<string, string> = {};
  for (const part of text.split("## ").slice(1)) {
    const name = part.slice(0, part.indexOf("\n"));
    const last = part.split("sendmsg(").at(-1)!;
    // " | 00010  00 01 02 03 04 05 06 07  08 09 …  text |"
    const lines = last.split("\n").filter((line) => /^ \| [0-9a-f]{5} /.test(line));
    const hex = lines.map((line) => line.slice(9, 59).replaceAll(" ", "")).join("");
    found[name] = hex.slice(0, SEQUENCE_AT) + "00000000" + hex.slice(SEQUENCE_AT + 8);
  }
  return found;
}
