/**
 * Stands for a QEMU that was taken over: the shim starts this program in QEMU's place. It answers
 * on the monitor until its root is emptied, tries to get at the host, and prints to the console how
 * each attempt ended. Only what the shim confines it with is in its way: QEMU's own filter of
 * system calls is not.
 */

import { delay, readIfPresent } from "../../base/mod.ts";
import { CLONE, type Fd, isSystemError, MS, O, type Pid, SIG, system } from "../../ffi/mod.ts";
import {
  makeProcess,
  makeUserNamespace,
  openRawSocket,
} from "../../ffi/testing/forbidden_calls.ts";

/** What the test knows of the host, in a file beside this program. */
export interface Targets {
  readonly shim: number;
  /** The socket and the QEMU of another sandbox. */
  readonly otherSocket: string;
  readonly otherQemu: number;
}

/** In front of each line that this program prints. */
export const MARK = "escaped:";
const CONTAINERD = "/run/containerd/containerd.sock";
const GREETING = {
  QMP: { version: { qemu: { major: 11, minor: 0, micro: 0 }, package: "" }, capabilities: [] },
};
/** More than any limit that is tried. */
const ATTEMPTS_MAX = 5_000;
const POLL_MS = 2;

type Attempts = Readonly<Record<string, () => unknown>>;

const close = (fd: Fd) => system.close(fd);
const read = (path: string) => close(system.open(path, O.RDONLY));
const list = (path: string) => close(system.open(path, O.RDONLY | O.DIRECTORY));
const overwrite = (path: string) => close(system.open(path, O.WRONLY));

/** What the user id alone prevents while QEMU still loads its libraries. */
function early({ otherSocket }: Targets, layer: Fd): Attempts {
  return {
    "shadow": () => read("/etc/shadow"),
    "containerd": () => close(system.connectUnix(CONTAINERD)),
    "another sandbox": () => close(system.connectUnix(otherSocket)),
    "layer by descriptor": () => system.write(layer, new Uint8Array(512)),
    "layer by /proc": () => overwrite(`/proc/self/fd/${layer}`),
  };
}

/** What an escaped QEMU finds while a container runs. */
function late(targets: Targets, layer: Fd): Attempts {
  return {
    ...early(targets, layer),
    "processes": () => list("/proc"),
    "kvm": () => close(system.open("/dev/kvm", O.RDWR)),
    "a file": () => close(system.open("/file", O.CREAT | O.WRONLY)),
    "user namespace": () => makeUserNamespace(),
    "mount namespace": () => system.unshare(CLONE.NEWNS),
    "mount": () => system.mount("none", "/", "tmpfs", MS.RDONLY),
    "host name": () => system.setHostname("escaped"),
    "clock": () => system.setClock(system.clock("realtime")),
    "kill the shim": () => system.kill(targets.shim as Pid, SIG.KILL),
    "kill another QEMU": () => system.kill(targets.otherQemu as Pid, SIG.KILL),
    "kill all": () => system.kill(-1 as Pid, SIG.KILL),
    "raw IP socket": () => openRawSocket("inet"),
    "packet socket": () => openRawSocket("packet"),
    "descriptors": () => repeat(() => system.duplicate(layer)),
    "processes of its own": () => repeat(makeProcess),
  };
}

/** Does what must fail at some time. */
function repeat(work: () => unknown): void {
  for (let count = 0; count < ATTEMPTS_MAX; count++) work();
}

function attempt(when: string, attempts: Attempts): void {
  for (const [name, work] of Object.entries(attempts)) say(`${when}: ${name}: ${outcome(work)}`);
}

function outcome(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return isSystemError(error) ? error.code : String(error);
  }
}

function say(line: string): void {
  system.write(1 as Fd, new TextEncoder().encode(`${MARK} ${line}\n`));
}

/** Returns the descriptor of an argument such as "socket,id=qmp,fd=5". */
function descriptors(pattern: RegExp): Fd[] {
  return Deno.args.flatMap((one) => pattern.exec(one)?.[1] ?? []).map((fd) => Number(fd) as Fd);
}

/** Answers the shim until it has replaced the root directory. */
async function answerUntilEmpty(monitor: Fd): Promise<void> {
  const send = (message: unknown) =>
    system.write(monitor, new TextEncoder().encode(`${JSON.stringify(message)}\r\n`));
  send(GREETING);
  const request = new Uint8Array(4096);
  const length = system.read(monitor, request)!;
  const { id } = JSON.parse(new TextDecoder().decode(request.subarray(0, length)));
  send({ return: {}, id });
  while (outcome(() => list("/etc")) === "done") await delay(POLL_MS);
}

/** Waits for the file: the test knows the shim only after it was started. */
async function readTargets(): Promise<Targets> {
  for (;; await delay(POLL_MS)) {
    const text = readIfPresent(`${Deno.execPath()}.json`);
    if (text !== null) return JSON.parse(text);
  }
}

if (import.meta.main) {
  const targets = await readTargets();
  const layer = descriptors(/^fd=(\d+),set=\d+$/)
    .find((fd) => Deno.readLinkSync(`/proc/self/fd/${fd}`).endsWith("/layer.erofs"))!;
  attempt("early", early(targets, layer));
  await answerUntilEmpty(descriptors(/^socket,id=qmp,fd=(\d+)$/)[0]!);
  say(`root: ${[...Deno.readDirSync("/")].length} entries`);
  attempt("late", late(targets, layer));
  say("end");
}
