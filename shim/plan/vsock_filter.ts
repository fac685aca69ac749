import type { OciSpec } from "./oci.ts";

/**
 * Keeps a container from making AF_VSOCK sockets, by which it would reach the host's listeners and
 * other programs in its VM. Changes the seccomp profile of its specification, or adds one: crun
 * gives it to the init and to exec processes.
 *
 * - socket(2) fails for AF_VSOCK. The kernel reads 32 bits of the family, so the other half of the
 *   register is masked: a comparison for (in)equality would let 2^32 + 40 through.
 * - io_uring_setup(2) fails: IORING_OP_SOCKET makes sockets past every seccomp filter.
 * - socketcall(2), of 32-bit programs, fails: a filter cannot read its arguments, which are in
 *   memory.
 *
 * Rules of the profile that forbid something stay as they are.
 */
export function denyVsock(spec: OciSpec): void {
  const linux = spec.linux ??= {};
  const profile = (linux.seccomp ?? { architectures: ARCHITECTURES }) as SeccompProfile;
  const defaultAction = profile.defaultAction || ALLOW;
  const refusal = { action: ERRNO, errnoRet: errnoOtherThan(profile) };
  linux.seccomp = {
    ...profile,
    defaultAction,
    syscalls: [
      // Without arguments, and so stronger than what libseccomp derives from rules for socket(2).
      { names: ["socketcall"], ...refusal },
      ...(isForbidding(defaultAction) ? [] : [
        { names: ["socket"], ...refusal, args: [{ ...FAMILY_32_BITS, valueTwo: AF_VSOCK }] },
        { names: ["io_uring_setup"], action: ERRNO, errnoRet: EPERM },
      ]),
      ...(profile.syscalls ?? []).flatMap((rule) => narrowed(rule, defaultAction)),
    ],
  } satisfies SeccompProfile;
  // crun would take this compiled filter instead of the profile.
  delete spec.annotations?.["run.oci.seccomp_bpf_data"];
}

/** linux.seccomp of the OCI runtime specification (config-linux.md), as far as it is changed. */
interface SeccompProfile {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly syscalls?: readonly SeccompRule[];
}

interface SeccompRule {
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  /** All must hold; if several are about the same argument, any (crun, as runc). */
  readonly args?: readonly SeccompArgument[];
}

interface SeccompArgument {
  readonly index: number;
  readonly value: number | bigint;
  /** Of SCMP_CMP_MASKED_EQ, whose `value` is the mask: what is compared. */
  readonly valueTwo?: number | bigint;
  readonly op: string;
}

const AF_VSOCK = 40;
/** Families are 0 to 45 (AF_MAX in Linux 7.2 is 46), which 6 bits can tell apart. */
const FAMILY_BITS = 6;
const EPERM = 1, EAFNOSUPPORT = 97;
const ALLOW = "SCMP_ACT_ALLOW", ERRNO = "SCMP_ACT_ERRNO";
const FAMILY_32_BITS = { index: 0, value: 0xffff_ffff, op: "SCMP_CMP_MASKED_EQ" };
/** Whatever the guest kernel runs: a process of another architecture is killed. */
const ARCHITECTURES = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
/** Actions by which the kernel does not make the call. */
const FORBIDDING: ReadonlySet<string> = new Set([
  ERRNO,
  ...["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP"].map((name) => `SCMP_ACT_${name}`),
]);

function isForbidding(action: string): boolean {
  return FORBIDDING.has(action);
}

/** crun leaves out rules with the action of the default. */
function errnoOtherThan({ defaultAction, defaultErrnoRet }: SeccompProfile): number {
  return defaultAction === ERRNO && defaultErrnoRet === EAFNOSUPPORT ? EPERM : EAFNOSUPPORT;
}

/** Returns a rule without what it allows of vsock. */
function narrowed(rule: SeccompRule, defaultAction: string): SeccompRule[] {
  const { names = [], action } = rule;
  if (isForbidding(action)) return [rule];
  const others = names.filter((name) => !DENIED.has(name));
  const rest = others.length === 0 ? [] : [{ ...rule, names: others }];
  if (!names.includes("socket") || action === defaultAction) return rest;
  return [...rest, ...split(rule).flatMap(withoutVsock)];
}

const DENIED: ReadonlySet<string> = new Set(["socket", "socketcall", "io_uring_setup"]);

/** Returns rules with at most one condition about an argument, which hold when `rule` does. */
function split(rule: SeccompRule): SeccompRule[] {
  const args = rule.args ?? [];
  const isRepeated = new Set(args.map(({ index }) => index)).size < args.length;
  return isRepeated ? args.map((one) => ({ ...rule, args: [one] })) : [rule];
}

/** Returns rules for socket(2) that hold for each family that `rule` holds for, except vsock. */
function withoutVsock(rule: SeccompRule): SeccompRule[] {
  const args = rule.args ?? [];
  const others = args.filter(({ index }) => index !== 0);
  const family = args.find(({ index }) => index === 0);
  const conditions = family === undefined || isOtherThanVsock(family)
    ? anyButVsock()
    : familiesOf(family).map((valueTwo) => ({ ...FAMILY_32_BITS, valueTwo }));
  return conditions.map((condition) => ({
    ...rule,
    names: ["socket"],
    args: [condition, ...others],
  }));
}

/** containerd's default profile has this condition. */
function isOtherThanVsock({ op, value }: SeccompArgument): boolean {
  return op === "SCMP_CMP_NE" && Number(value) === AF_VSOCK;
}

/** Another family differs in at least one bit: one condition each. */
function anyButVsock(): SeccompArgument[] {
  return Array.from({ length: FAMILY_BITS }, (_, bit) => {
    const mask = 1 << bit;
    return { ...FAMILY_32_BITS, value: mask, valueTwo: ~AF_VSOCK & mask };
  });
}

/** Returns the families other than vsock that a condition holds for. */
function familiesOf(condition: SeccompArgument): number[] {
  return Array.from({ length: 1 << FAMILY_BITS }, (_, family) => family)
    .filter((family) => family !== AF_VSOCK && holds(BigInt(family), condition));
}

function holds(family: bigint, { op, value, valueTwo = 0 }: SeccompArgument): boolean {
  const operand = BigInt(value);
  switch (op) {
    case "SCMP_CMP_NE":
      return family !== operand;
    case "SCMP_CMP_LT":
      return family < operand;
    case "SCMP_CMP_LE":
      return family <= operand;
    case "SCMP_CMP_EQ":
      return family === operand;
    case "SCMP_CMP_GE":
      return family >= operand;
    case "SCMP_CMP_GT":
      return family > operand;
    case "SCMP_CMP_MASKED_EQ":
      return (family & operand) === BigInt(valueTwo);
    default:
      return false; // allows nothing
  }
}
