/**
 * A CNI plugin that follows tc-redirect-tap's convention (its README): after a plugin that made
 * CNI_IFNAME it makes a persistent tap beside it, redirects both ways, and adds the tap and the
 * guest's interface to the result. For machines without the real plugin.
 */
import { netlink, O, system, withNamespace } from "../../ffi/mod.ts";

const TAP = "tap0";
const { CNI_COMMAND, CNI_NETNS, CNI_IFNAME, CNI_CONTAINERID } = Deno.env.toObject();
const { prevResult } = JSON.parse(await new Response(Deno.stdin.readable).text());

if (CNI_COMMAND === "ADD") {
  const netns = system.open(CNI_NETNS!, O.RDONLY);
  const mac = withNamespace(system, "net", netns, () => {
    system.openTap(TAP, { exclusive: true, persist: true });
    const rtnetlink = netlink.Rtnetlink.open(system);
    const links = rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "links");
    const link = links.find(({ name }) => name === CNI_IFNAME)!;
    const tap = links.find(({ name }) => name === TAP)!;
    rtnetlink.change(netlink.setLink(tap.index, { mtu: link.mtu, up: true }), "tap up");
    for (const [from, to] of [[link.index, tap.index], [tap.index, link.index]] as const) {
      rtnetlink.change(netlink.addIngressQdisc(from), "qdisc");
      rtnetlink.change(netlink.addRedirect(from, to), "redirect");
    }
    return link.mac!;
  });
  prevResult.interfaces.push(
    { name: TAP, sandbox: CNI_NETNS },
    { name: TAP, sandbox: CNI_CONTAINERID, mac },
  );
  const guest = prevResult.interfaces.length - 1;
  prevResult.ips.push(...prevResult.ips.map((ip: object) => ({ ...ip, interface: guest })));
  console.log(JSON.stringify(prevResult));
}
Deno.exit(0);
