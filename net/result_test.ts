import assert from "node:assert/strict";
import fc from "fast-check";
import { formatHosts, formatResolvConf, hostResolver, mergeDns, parseResolvConf } from "./dns.ts";
import { NetworkError } from "./error.ts";
import { checkResult, tapPairOf } from "./result.ts";

const NETNS = "/run/qemubox/netns/default/c1";
/** A bridge's result, with what tc-redirect-tap adds to it. */
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

Deno.test("the tap and the guest's address are found by tc-redirect-tap's convention", () => {
  const result = checkResult(REDIRECTED, "x");
  assert.deepEqual(tapPairOf(result, NETNS, "default--c1"), {
    tap: "tap0",
    mac: "02:00:00:00:00:03",
  });
  assert.equal(tapPairOf(result, NETNS, "another"), null);
  assert.equal(tapPairOf(result, "/elsewhere", "default--c1"), null);
});

Deno.test("what Go leaves out or writes as null is absent", () => {
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

Deno.test("a result that is wrong is refused with the plugin's name and the key", () => {
  for (
    const [value, key] of [
      [{ ips: [{ address: "10.0.0.1" }] }, "ips.0.address"],
      [{ ips: [{ address: "10.0.0.1/8", interface: 1 }] }, "for interface 1, of 0"],
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

Deno.test("resolvers of several networks are one; the host's own loopback is not reachable", () => {
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

Deno.test("a container finds itself by its name", () => {
  assert.match(formatHosts("web", ["10.0.0.2", "fd00::2"]), /^10\.0\.0\.2\tweb\nfd00::2\tweb$/m);
  assert.match(formatHosts("web", []), /^127\.0\.1\.1\tweb$/m);
});
