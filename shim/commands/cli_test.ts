import assert from "node:assert/strict";
import fc from "fast-check";
import { parseInvocation, UsageError } from "./cli.ts";

Deno.test("containerd's own command lines are parsed", () => {
  assert.deepEqual(
    parseInvocation([
      ..."-namespace default -address /run/containerd/containerd.sock".split(" "),
      ..."-publish-binary /usr/bin/containerd -id t1 -debug start".split(" "),
    ]),
    {
      verb: "start",
      flags: {
        namespace: "default",
        id: "t1",
        address: "/run/containerd/containerd.sock",
        publishBinary: "/usr/bin/containerd",
        bundle: "",
        socket: "",
        debug: true,
      },
    },
  );
  const deletion = parseInvocation(["--namespace=k8s.io", "-id", "a-b", "-bundle", "/b", "delete"]);
  assert.ok(deletion.verb === "delete" && deletion.flags.bundle === "/b");
  assert.equal(parseInvocation(["-namespace", "default", "-id", "t1", "check"]).verb, "check");
  assert.deepEqual(parseInvocation(["-v"]), { verb: "version" });
  assert.deepEqual(parseInvocation(["-info"]), { verb: "info" });
});

Deno.test("switches can be turned off, as in Go", () => {
  const flags = ["-namespace", "a", "-id", "b"];
  const invocation = parseInvocation([...flags, "-debug=false", "-v=false", "start"]);
  assert.ok(invocation.verb === "start" && !invocation.flags.debug);
});

Deno.test("any arguments are parsed or refused, and identifiers are safe in paths", () => {
  const word = fc.oneof(
    fc.string({ unit: "grapheme-ascii", maxLength: 12 }),
    fc.constantFrom(
      "-id",
      "--id=a",
      "-namespace",
      "-namespace=n",
      "-debug",
      "start",
      "serve",
      "..",
    ),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 8 }), (args) => {
    try {
      const invocation = parseInvocation(args);
      if (!("flags" in invocation)) return;
      for (const name of [invocation.flags.id, invocation.flags.namespace]) {
        assert.match(name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,75}$/);
      }
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error));
    }
  }));
});

Deno.test("an invalid command line is refused by an error that names the argument", () => {
  const cases: [string[], RegExp][] = [
    [[], /no action/],
    [["-nope", "start"], /unknown flag -nope/],
    // Every object has properties of these names.
    [["-toString", "x", "start"], /unknown flag -toString/],
    [["--constructor=x", "start"], /unknown flag --constructor/],
    [["--", "start"], /unknown flag --/],
    [["-namespace", "a", "-id", "b", "stop"], /unknown action stop/],
    [["-namespace", "a", "start"], /flag -id is required/],
    [["-namespace", "a", "-id"], /-id needs a value/],
    [["-namespace", "a", "-id", "../../etc", "start"], /is not an identifier/],
    // names.ts relies on this for paths that no two sandboxes share.
    [["-namespace", "a", "-id", "a--b", "start"], /"a--b" is not an identifier/],
    [["-namespace", "a.-b", "-id", "c", "start"], /"a.-b" is not an identifier/],
    [["-namespace", "a/b", "-id", "c", "start"], /namespace "a\/b"/],
    [["-namespace", "a", "-id", "x".repeat(77), "start"], /at most 76/],
  ];
  for (const [args, expected] of cases) {
    assert.throws(() => parseInvocation(args), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, expected);
      return true;
    });
  }
});
