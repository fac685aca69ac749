import assert from "node:assert/strict";
import fc from "fast-check";
import { parseConf } from "./conf.ts";
import { NetworkError } from "./error.ts";
import { planNetwork } from "./plan.ts";
import { networkRequest } from "./request.ts";

const conf = (name: string) =>
  parseConf(JSON.stringify({ cniVersion: "1.0.0", name, plugins: [{ type: "ptp" }] }), `/${name}`);
const directory = (...names: string[]) => () => ({
  path: "/etc/cni/net.d",
  networks: names.map(conf),
  broken: [],
});
const settings = { confDir: "/etc/cni/net.d", path: ["/opt/cni/bin"], network: null };
const plain = networkRequest({}, null);

Deno.test("a container joins the networks that it names, else the network set, else the default one", () => {
  const names = (...args: Parameters<typeof planNetwork>) => {
    const plan = planNetwork(...args);
    return plan.kind === "cni" ? plan.networks.map(({ name }) => name) : plan;
  };
  const both = directory("other", "qemubox-net");
  assert.deepEqual(names(settings, plain, both), ["qemubox-net"]);
  assert.deepEqual(names({ ...settings, network: "other" }, plain, both), ["other"]);
  const asked = networkRequest({ "io.qemubox.networks": "qemubox-net, other" }, null);
  assert.deepEqual(names(settings, asked, both), ["qemubox-net", "other"]);
});

Deno.test("no network installed gives loopback with a warning, and `none` gives it without", () => {
  const found = planNetwork(settings, plain, directory("calico"));
  assert(
    found.kind === "none" && /no CNI network qemubox-net .*there: calico/.test(found.warning!),
  );
  const none = networkRequest({ "io.qemubox.networks": "none" }, "/run/netns/x");
  assert.deepEqual(planNetwork(settings, none, directory("qemubox-net")), {
    kind: "none",
    warning: null,
  });
});

Deno.test("the specification's namespace is used, but not together with named networks", () => {
  const given = networkRequest({}, "/run/netns/pod");
  assert.deepEqual(planNetwork(settings, given, directory("qemubox-net")), {
    kind: "existing",
    netns: "/run/netns/pod",
  });
  const both = networkRequest({ "io.qemubox.networks": "a" }, "/run/netns/pod");
  assert.throws(() => planNetwork(settings, both, directory("a")), /only one of the two/);
});

Deno.test("a namespace populated by hooks is used, unless an annotation names networks", () => {
  const hooks = (annotations: Record<string, string>, netns: string | null = null) =>
    planNetwork(settings, networkRequest(annotations, netns, true), directory("qemubox-net", "a"));
  assert.deepEqual(hooks({}), { kind: "own" });
  assert.equal(hooks({ "io.qemubox.networks": "a" }).kind, "cni");
  assert.equal(hooks({ "io.qemubox.networks": "none" }).kind, "none");
  assert.equal(hooks({}, "/run/netns/pod").kind, "existing");
});

Deno.test("a requested network must exist", () => {
  const set = { ...settings, network: "gone" };
  assert.throws(() => planNetwork(set, plain, directory()), /network gone is not in .*there: none/);
  const broken = [new NetworkError("config", "/x is not JSON")];
  const read = () => ({ path: "/d", networks: [], broken });
  assert.throws(() => planNetwork(settings, plain, read), /x is not JSON/);
});

Deno.test("networkRequest turns annotations into capability arguments", () => {
  const { capabilityArgs } = networkRequest({
    "io.qemubox.port-mappings": "8080:80, 127.0.0.1:53:5353/udp,[::1]:1:2/sctp",
    "io.qemubox.ip-addresses": "10.0.0.5/24,fd00::5",
    "io.qemubox.mac-address": "02:00:00:00:00:AA",
  }, null);
  assert.deepEqual(capabilityArgs, {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: "tcp" },
      { hostPort: 53, containerPort: 5353, protocol: "udp", hostIP: "127.0.0.1" },
      { hostPort: 1, containerPort: 2, protocol: "sctp", hostIP: "::1" },
    ],
    ips: ["10.0.0.5/24", "fd00::5"],
    mac: "02:00:00:00:00:aa",
  });
});

Deno.test("networkRequest names an annotation that is invalid", () => {
  for (
    const [name, value] of [
      ["networks", "a,a"],
      ["networks", ""],
      ["networks", "../x"],
      ["port-mappings", "80"],
      ["port-mappings", "0:80"],
      ["port-mappings", "1:65536"],
      ["port-mappings", "nonsense:1:2"],
      ["ip-addresses", "10.0.0.5/33"],
      ["mac-address", "01:00:00:00:00:01"],
    ] as const
  ) {
    assert.throws(
      () => networkRequest({ [`io.qemubox.${name}`]: value }, null),
      (error) => error instanceof NetworkError && error.message.includes(`io.qemubox.${name}=`),
      `${name} ${value}`,
    );
  }
  fc.assert(fc.property(fc.string(), fc.constantFrom("networks", "port-mappings"), (text, name) => {
    try {
      networkRequest({ [`io.qemubox.${name}`]: text }, null);
    } catch (error) {
      assert(error instanceof NetworkError);
    }
  }));
});
