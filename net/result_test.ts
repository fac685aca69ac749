import assert from "node:assert/strict";
import fc from "fast-check";
import { formatHosts, formatResolvConf, hostResolver, mergeDns, parseResolvConf } from "./dns.ts";
import { NetworkError } from "./error.ts";
import { checkResult, tapPairOf } from "./result.ts";

const NETNS = "/run/qemubox/netns/default/c1";
/** Result of bridge and tc-redirect-tap. */
const REDIRECTED = {
  cniVersion: "1.0.0",
  interfaces: [
    { name: "qemubox0", mac: "02:00:00:00:00:01" },
    { name: "veth1", mac: "02:00:00:00:00:02" },
    { name: "eth0", mac: "02:00:00:00:00:03", sandbox: NETNS },
    { name: "tap0", mac: "02:00:00:00:00:04", sandbox: NETNS },
    { name: "tap0", mac: "02:00:00:00:00:03", sandbox: "default--c1" },
  ],
  ips: [
    { address: "10.88.0.2/16", gateway: "10.88.0.1", interface: 2 },
    { address: "10.88.0.2/16", gateway: "10.88.0.1", interface: 4 },
  ],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: {},
};

Deno.test("tapPairOf finds the tap and the guest's MAC address by tc-redirect-tap's convention", () => {
  const result = checkResult(REDIRECTED, "x");
  assert.deepEqual(tapPairOf(result, NETNS, "default--c1"), {
    tap: "tap0",
    mac: "02:00:00:00:00:03",
  });
  assert.equal(tapPairOf(result, NETNS, "another"), null);
  assert.equal(tapPairOf(result, "/elsewhere", "default--c1"), null);
});

Deno.test("checkResult takes null and empty strings of Go as absent", () => {
  const result = checkResult(
    { interfaces: null, ips: [{ address: "10.0.0.1/8", gateway: "" }] },
    "x",
  );
  assert.deepEqual([result.interfaces, result.ips[0]!.gateway, result.dns.nameservers], [
    [],
    undefined,
    [],
  ]);
});

Deno.test("checkResult names the plugin and the key of an invalid result", () => {
  for (
    const [value, key] of [
      [{ ips: [{ address: "10.0.0.1" }] }, "ips.0.address"],
      [
        { ips: [{ address: "10.0.0.1/8", interface: 1 }] },
        "for interface 1, but only 0 interfaces",
      ],
      [{ interfaces: [{ name: "eth0", mac: "nonsense" }] }, "interfaces.0.mac"],
      [{ dns: { nameservers: ["$(reboot)"] } }, "dns.nameservers.0"],
      [[], ""],
    ] as const
  ) {
    assert.throws(
      () => checkResult(value, "CNI plugin x"),
      (error) => error instanceof NetworkError && error.message.includes(key),
    );
  }
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    try {
      checkResult(value, "x");
    } catch (error) {
      assert(error instanceof NetworkError);
    }
  }));
});

Deno.test("mergeDns joins several networks, and hostResolver leaves out servers on loopback", () => {
  const dns = (more: object) => checkResult({ dns: more }, "x").dns;
  assert.equal(mergeDns([dns({}), dns({ search: ["a"] })]), null);
  const merged = mergeDns([
    dns({ nameservers: ["10.0.0.1"], domain: "a.example" }),
    dns({ nameservers: ["10.0.0.1", "fd00::1"], search: ["b.example"], options: ["ndots:2"] }),
  ])!;
  assert.equal(
    formatResolvConf(merged),
    "nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\noptions ndots:2\n",
  );
  const stub = "nameserver 127.0.0.53\noptions edns0\nsearch lan\n";
  const real = "# comment\nnameserver 192.0.2.1\nnameserver nonsense\nsearch lan\n";
  assert.deepEqual(hostResolver([stub, real]), parseResolvConf("nameserver 192.0.2.1\nsearch lan"));
  assert.deepEqual(hostResolver([]).nameservers, []);
});

Deno.test("formatHosts maps the host name to its addresses, or to 127.0.1.1", () => {
  assert.match(formatHosts("web", ["10.0.0.2", "fd00::2"]), /^10\.0\.0\.2\tweb\nfd00::2\tweb$/m);
  assert.match(formatHosts("web", []), /^127\.0\.1\.1\tweb$/m);
});
