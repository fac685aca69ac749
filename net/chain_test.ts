import assert from "node:assert/strict";
import { poll } from "../base/mod.ts";
import { addChain, checkChain, collectGarbage, deleteChain, requestConf } from "./chain.ts";
import { parseConf } from "./conf.ts";
import { NetworkError } from "./error.ts";
import { PluginError, runPlugin } from "./plugin.ts";
import { FakePlugins } from "./testing/fake_plugins.ts";

const RESULT = { cniVersion: "1.1.0", interfaces: [{ name: "eth0" }] };

function attachmentOf(...plugins: Record<string, unknown>[]) {
  const conf = parseConf(
    JSON.stringify({ cniVersion: "1.1.0", name: "net", plugins }),
    "/etc/cni/net.d/net.conflist",
  );
  const capabilityArgs = { portMappings: [{ hostPort: 1 }], mac: "02:00:00:00:00:01" };
  return { conf, containerId: "ns--c1", netns: "/netns", ifname: "eth0", capabilityArgs };
}

function hostOf(plugins: FakePlugins, more: object = {}) {
  return { path: ["/none", plugins.path], lockFile: `${plugins.path}/lock`, ...more };
}

Deno.test("each plugin gets the previous plugin's result, and the capabilities that it declares", async () => {
  using plugins = new FakePlugins();
  plugins.answering("one", { ...RESULT, dns: { domain: "one" } });
  plugins.answering("two", RESULT);
  const attachment = attachmentOf({ type: "one", mtu: 9000 }, {
    type: "two",
    capabilities: { portMappings: true, bandwidth: true },
  });
  const added = await addChain(attachment, hostOf(plugins));
  assert.deepEqual(added.raw, RESULT);
  assert.deepEqual(plugins.stdin("one", "ADD"), {
    type: "one",
    mtu: 9000,
    name: "net",
    cniVersion: "1.1.0",
  });
  assert.deepEqual(plugins.stdin("two", "ADD"), {
    type: "two",
    name: "net",
    cniVersion: "1.1.0",
    runtimeConfig: { portMappings: [{ hostPort: 1 }] },
    prevResult: { ...RESULT, dns: { domain: "one" } },
  });
  await checkChain(attachment, added.raw, hostOf(plugins));
  await deleteChain(attachment, added.raw, hostOf(plugins));
  assert.deepEqual(plugins.stdin("one", "DEL")["prevResult"], RESULT);
  assert.deepEqual(plugins.calls, [
    "one ADD eth0",
    "two ADD eth0",
    "one CHECK eth0",
    "two CHECK eth0",
    "two DEL eth0",
    "one DEL eth0",
  ]);
});

Deno.test("requestConf leaves out capabilities, and prevResult if there is no result", () => {
  const attachment = attachmentOf({ type: "a", capabilities: { mac: true } });
  assert.deepEqual(requestConf(attachment.conf.plugins[0]!, attachment, null), {
    type: "a",
    name: "net",
    cniVersion: "1.1.0",
    runtimeConfig: { mac: "02:00:00:00:00:01" },
  });
});

Deno.test("addChain's error has the plugin, its message, code and details", async () => {
  using plugins = new FakePlugins();
  plugins.add("bad", `echo '{"code":11,"msg":"try again","details":"later"}'; exit 1`);
  await assert.rejects(addChain(attachmentOf({ type: "bad" }), hostOf(plugins)), (error) => {
    assert(error instanceof PluginError);
    assert.equal(
      error.message,
      "CNI plugin bad of network net failed to ADD: try again (code 11: later)",
    );
    return true;
  });
});

Deno.test("the error for exhausted addresses says where to look", async () => {
  using plugins = new FakePlugins();
  plugins.add("br", `echo '{"code":999,"msg":"no IP addresses available in range"}'; exit 1`);
  const attachment = attachmentOf({ type: "br", ipam: { type: "host-local" } });
  await assert.rejects(addChain(attachment, hostOf(plugins)), {
    message: "CNI plugin br of network net failed to ADD: no IP addresses available in range " +
      "(code 999); the addresses in use are the files in /var/lib/cni/networks/net, " +
      "the range is in /etc/cni/net.d/net.conflist",
  });
});

Deno.test("addChain names a plugin that crashes, is killed, is missing, or prints no valid result", async () => {
  using plugins = new FakePlugins();
  plugins.add("crash", "echo 'panic: oh no' >&2; exit 2");
  plugins.add("noisy", "printf 'first\\n\\033[1m%0600d' 0 >&2; exit 2");
  plugins.add("killed", "kill -9 $$");
  plugins.add("silent", "exit 0");
  plugins.add("nonsense", "echo '<html>'");
  plugins.add("flood", "head -c 2000000 /dev/zero");
  const messages: Record<string, RegExp> = {
    crash: /^CNI plugin crash of network net exited with code 2 during ADD: panic: oh no$/,
    noisy: /^CNI plugin noisy of network net exited with code 2 during ADD: 0{500}…$/,
    killed: /^CNI plugin killed of network net was killed by signal 9 during ADD$/,
    silent: /^CNI plugin silent of network net succeeded without a result$/,
    nonsense: /^CNI plugin nonsense of network net did not print JSON/,
    flood: /^CNI plugin flood of network net printed more than 1048576 bytes$/,
    missing: /^CNI plugin missing of network net is not in \/none, .*QEMUBOX_CNI_BIN_DIR$/,
  };
  for (const [type, message] of Object.entries(messages)) {
    await assert.rejects(addChain(attachmentOf({ type }), hostOf(plugins)), (error) => {
      assert(error instanceof NetworkError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("a plugin that times out is killed with its children", async () => {
  using plugins = new FakePlugins();
  plugins.add("slow", `sleep 1000 & echo $! >${plugins.path}/child; wait`);
  const attachment = attachmentOf({ type: "slow" });
  await assert.rejects(
    addChain(attachment, hostOf(plugins, { timeoutMs: 300 })),
    /slow of network net did not finish ADD within 0.3 s and was killed/,
  );
  const child = Deno.readTextFileSync(`${plugins.path}/child`).trim();
  const isGone = () => isRunning(child) ? null : true;
  assert(await poll(isGone, { everyMs: 2, timeoutMs: 10_000 }), "child of the plugin still runs");
  const reason = new Error("called off");
  const aborting = new AbortController();
  const added = addChain(attachment, hostOf(plugins, { signal: aborting.signal }));
  setTimeout(() => aborting.abort(reason), 100);
  await assert.rejects(added, reason);
});

Deno.test("addChain does not wait for a daemon that a plugin leaves behind", async () => {
  using plugins = new FakePlugins();
  plugins.add("daemon", `echo '${JSON.stringify(RESULT)}'; sleep 1 & exit 0`);
  const startedAt = performance.now();
  await addChain(attachmentOf({ type: "daemon" }), hostOf(plugins));
  assert(performance.now() - startedAt < 900);
});

Deno.test("deleteChain goes on after a failure, and reports all of them", async () => {
  using plugins = new FakePlugins();
  plugins.add("a", "exit 3");
  plugins.add("b", "exit 4");
  const attachment = attachmentOf({ type: "a" }, { type: "b" }, { type: "gone" });
  await assert.rejects(deleteChain(attachment, RESULT, hostOf(plugins)), (error) => {
    assert(error instanceof AggregateError);
    assert.match(error.message, /gone .*; .*b .*code 4.*; .*a .*code 3/);
    return true;
  });
  assert.deepEqual(plugins.stdin("a", "DEL")["prevResult"], RESULT);
});

Deno.test("addChain does not begin if a plugin is missing, and then deleteChain does not need it", async () => {
  using plugins = new FakePlugins();
  plugins.answering("there", RESULT);
  const attachment = attachmentOf({ type: "there" }, { type: "gone" });
  await assert.rejects(addChain(attachment, hostOf(plugins)), /gone of network net is not in/);
  assert.deepEqual(plugins.calls, []);
  await deleteChain(attachment, null, hostOf(plugins));
  assert.deepEqual(plugins.calls, ["there DEL eth0"]);
});

Deno.test("collectGarbage calls only plugins that support 1.1.0, with the valid attachments", async () => {
  using plugins = new FakePlugins();
  plugins.add("new", `test $CNI_COMMAND != VERSION || echo '{"supportedVersions":["1.1.0"]}'`);
  plugins.add("old", `test $CNI_COMMAND != VERSION || echo '{"supportedVersions":["1.0.0"]}'`);
  const { conf } = attachmentOf({ type: "new" }, { type: "old" });
  await collectGarbage(conf, [{ containerId: "c", ifname: "eth0" }], hostOf(plugins));
  assert.deepEqual(plugins.calls.map((call) => call.trim()), [
    "new VERSION",
    "new GC",
    "old VERSION",
  ]);
  assert.deepEqual(plugins.stdin("new", "GC")["cni.dev/valid-attachments"], [
    { containerID: "c", ifname: "eth0" },
  ]);
});

Deno.test("plugins that write firewall rules run one at a time, and others do not wait", async () => {
  using plugins = new FakePlugins();
  const busy = `${plugins.path}/busy`;
  const alone = `mkdir ${busy} || exit 9; sleep 0.05; rmdir ${busy}; echo '{}'`;
  plugins.add("firewall", alone);
  plugins.add("bridge", alone);
  plugins.add("ptp", "sleep 0.3; echo '{}'");
  const run = (plugin: Record<string, unknown>) => addChain(attachmentOf(plugin), hostOf(plugins));
  await Promise.all([
    run({ type: "firewall" }),
    run({ type: "bridge", ipMasq: true }),
    run({ type: "firewall" }),
    run({ type: "firewall" }),
  ]);
  const startedAt = performance.now();
  await Promise.all([run({ type: "ptp" }), run({ type: "ptp" }), run({ type: "ptp" })]);
  assert(performance.now() - startedAt < 850);
});

Deno.test("runPlugin sets the environment that the specification names", async () => {
  using plugins = new FakePlugins();
  plugins.add(
    "env",
    `printf '"%s %s %s %s %s"' $CNI_CONTAINERID $CNI_NETNS $CNI_ARGS $CNI_PATH $X`,
  );
  const answer = await runPlugin({
    command: "ADD",
    type: "env",
    network: "net",
    path: [plugins.path],
    containerId: "c",
    netns: "/n",
    args: "IgnoreUnknown=1",
    stdin: {},
  }, { environment: { X: "ours" } });
  assert.equal(answer, `c /n IgnoreUnknown=1 ${plugins.path} ours`);
});

function isRunning(pid: string): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
