import assert from "node:assert/strict";
import * as fc from "fast-check";
import { denyVsock } from "./vsock_filter.ts";

const AF_INET = 2, AF_NETLINK = 16, AF_VSOCK = 40, AF_ALG = 38;

interface Argument {
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}
interface Rule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: Argument[];
}
interface Profile {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  syscalls?: Rule[];
}

function denied(seccomp?: Profile): Profile {
  const spec = { linux: { ...(seccomp === undefined ? {} : { seccomp }) } };
  denyVsock(spec);
  return (spec.linux as { seccomp?: unknown }).seccomp as Profile;
}

/**
 * Returns the actions that a profile has for a call, as crun and libseccomp read it: if several
 * conditions are about one argument, any has to hold; a rule without any replaces the others.
 */
function actionsOf(profile: Profile, name: string, ...args: bigint[]): string[] {
  const rules = (profile.syscalls ?? []).filter(({ names, action }) =>
    names.includes(name) && action !== profile.defaultAction
  );
  const all = rules.find((rule) => (rule.args ?? []).length === 0);
  if (all !== undefined) return [all.action];
  const matching = rules.filter(({ args: conditions = [] }) => {
    const results = conditions.map((one) => holds(args[one.index] ?? 0n, one));
    const isRepeated = new Set(conditions.map(({ index }) => index)).size < conditions.length;
    return isRepeated ? results.includes(true) : !results.includes(false);
  });
  return matching.length === 0 ? [profile.defaultAction] : matching.map(({ action }) => action);
}

function holds(actual: bigint, { op, value, valueTwo = 0 }: Argument): boolean {
  const operand = BigInt(value);
  return {
    SCMP_CMP_NE: actual !== operand,
    SCMP_CMP_LT: actual < operand,
    SCMP_CMP_LE: actual <= operand,
    SCMP_CMP_EQ: actual === operand,
    SCMP_CMP_GE: actual >= operand,
    SCMP_CMP_GT: actual > operand,
    SCMP_CMP_MASKED_EQ: (actual & operand) === BigInt(valueTwo),
  }[op] ?? assert.fail(op);
}

const ERRNO = ["SCMP_ACT_ERRNO"], ALLOW = ["SCMP_ACT_ALLOW"];
/** A register whose other half is not zero; the kernel reads the family out of 32 bits. */
const DIRTY = 1n << 32n;

Deno.test("a container without a profile gets one that denies vsock alone", () => {
  const profile = denied();
  assert.equal(profile.defaultAction, "SCMP_ACT_ALLOW");
  assert.deepEqual(profile.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
  for (const family of [AF_INET, AF_NETLINK, AF_ALG]) {
    assert.deepEqual(actionsOf(profile, "socket", BigInt(family)), ALLOW);
  }
  for (const family of [BigInt(AF_VSOCK), DIRTY + BigInt(AF_VSOCK)]) {
    assert.deepEqual(actionsOf(profile, "socket", family), ERRNO);
  }
  for (const name of ["socketcall", "io_uring_setup"]) {
    assert.deepEqual(actionsOf(profile, name), ERRNO);
  }
  assert.deepEqual(actionsOf(profile, "openat"), ALLOW);
});

Deno.test("a list of what is allowed keeps everything but vsock", () => {
  const profile = denied({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 97,
    syscalls: [
      { names: ["read", "socket", "socketcall", "io_uring_setup"], action: "SCMP_ACT_ALLOW" },
      { names: ["ptrace"], action: "SCMP_ACT_KILL" },
    ],
  });
  assert.equal(profile.architectures, undefined);
  assert.deepEqual(actionsOf(profile, "read"), ALLOW);
  assert.deepEqual(actionsOf(profile, "ptrace"), ["SCMP_ACT_KILL"]);
  assert.deepEqual(actionsOf(profile, "socket", BigInt(AF_VSOCK)), ERRNO);
  assert(actionsOf(profile, "socket", BigInt(AF_INET)).every((one) => one === "SCMP_ACT_ALLOW"));
  for (const name of ["socketcall", "io_uring_setup"]) {
    assert.deepEqual(actionsOf(profile, name), ERRNO);
  }
  // crun would leave out a rule that is the default's double, libseccomp would allow socketcall.
  assert.equal(profile.syscalls!.find(({ names }) => names[0] === "socketcall")!.errnoRet, 1);
});

Deno.test("containerd's condition for vsock no longer lets a dirty register through", () => {
  const profile = denied({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{
      names: ["socket"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: AF_VSOCK, op: "SCMP_CMP_NE" }],
    }],
  });
  assert.deepEqual(actionsOf(profile, "socket", DIRTY + BigInt(AF_VSOCK)), ERRNO);
  assert.equal(actionsOf(profile, "socket", BigInt(AF_INET))[0], "SCMP_ACT_ALLOW");
});

Deno.test("a compiled filter does not replace the profile", () => {
  const spec = { annotations: { "run.oci.seccomp_bpf_data": "AAAA", other: "x" } };
  denyVsock(spec);
  assert.deepEqual(spec.annotations, { other: "x" } as unknown);
});

const argument = fc.record({
  index: fc.constantFrom(0, 0, 1),
  value: fc.constantFrom(0, 1, 2, 38, 39, AF_VSOCK, 41, 45, 63),
  valueTwo: fc.constantFrom(0, 2, 8, AF_VSOCK),
  op: fc.constantFrom(
    ...["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map((name) => `SCMP_CMP_${name}`),
  ),
});
const rule = fc.record({
  names: fc.constantFrom<string[]>(["socket"], ["read", "socket"], ["socketcall", "socket"]),
  action: fc.constantFrom(
    ...["ALLOW", "LOG", "TRACE", "ERRNO", "KILL"].map((name) => `SCMP_ACT_${name}`),
  ),
  args: fc.array(argument, { maxLength: 3 }),
});
const FORBIDDING = new Set(["SCMP_ACT_ERRNO", "SCMP_ACT_KILL"]);

Deno.test("no profile allows vsock, and other families get from it what they got", () => {
  fc.assert(fc.property(
    fc.constantFrom("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"),
    fc.array(rule, { maxLength: 4 }),
    (defaultAction, syscalls) => {
      const before = { defaultAction, syscalls };
      const after = denied(structuredClone(before));
      const set = (profile: Profile, family: number) =>
        [...new Set(actionsOf(profile, "socket", BigInt(family), 1n))].toSorted();
      for (const family of [BigInt(AF_VSOCK), DIRTY + BigInt(AF_VSOCK)]) {
        for (const type of [1n, 2n]) {
          for (const action of actionsOf(after, "socket", family, type)) {
            assert(FORBIDDING.has(action), action);
          }
        }
      }
      // A rule without conditions replaces others, and its narrowed one does not.
      if (before.syscalls.some(({ args }) => args.length === 0)) return;
      for (const family of [0, 1, AF_INET, AF_NETLINK, AF_ALG, 39, 41, 45]) {
        assert.deepEqual(set(after, family), set(before, family), String(family));
      }
    },
  ));
});
