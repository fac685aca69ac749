import assert from "node:assert/strict";
import type { GuestNetwork } from "../../net/mod.ts";
import { withNetworkFiles } from "./network_files.ts";
import type { OciSpec } from "./oci.ts";

const SPEC: OciSpec = {
  ociVersion: "1.0.2",
  mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
};
const ADDRESS = { address: "10.88.0.2", prefixLength: 16, noPrefixRoute: false };
const NETWORK: GuestNetwork = {
  interfaces: [{
    name: "eth0",
    deviceMac: "52:54:00:71:62:00",
    mac: "02:00:00:00:00:01",
    mtu: 1500,
    addresses: [ADDRESS],
    routes: [],
    neighbours: [],
  }],
  resolver: { nameservers: ["10.88.0.1"], search: [], options: [] },
};

const text = (files: readonly { content: Uint8Array }[]) =>
  files.map(({ content }) => new TextDecoder().decode(content));

Deno.test("a container gets /etc/hostname, /etc/hosts and /etc/resolv.conf", () => {
  const { spec, files } = withNetworkFiles(SPEC, "box", NETWORK);
  assert.deepEqual(files.map(({ name }) => name), ["hostname", "hosts", "resolv.conf"]);
  const [hostname, hosts, resolver] = text(files);
  assert.equal(hostname, "box\n");
  assert.match(hosts!, /^10\.88\.0\.2\tbox$/m);
  assert.equal(resolver, "nameserver 10.88.0.1\n");
  assert.deepEqual(spec.mounts!.map(({ destination, source }) => [destination, source]), [
    ["/proc", "proc"],
    ["/etc/hostname", "hostname"],
    ["/etc/hosts", "hosts"],
    ["/etc/resolv.conf", "resolv.conf"],
  ]);
});

Deno.test("mounts of the specification stay, and without a network there is no resolv.conf", () => {
  const own = { destination: "/etc/resolv.conf", type: "bind", source: "/pods/resolv.conf" };
  const { spec, files } = withNetworkFiles({ ...SPEC, mounts: [own] }, "box", NETWORK);
  assert.deepEqual(files.map(({ name }) => name), ["hostname", "hosts"]);
  assert.deepEqual(spec.mounts![0], own);
  assert.equal(spec.mounts!.length, 3);
  const alone = withNetworkFiles(SPEC, "box", { ...NETWORK, interfaces: [] });
  assert.deepEqual(alone.files.map(({ name }) => name), ["hostname", "hosts"]);
  assert.match(text(alone.files)[1]!, /^127\.0\.1\.1\tbox$/m);
});
