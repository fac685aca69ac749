/**
 * containerd 2.4, whose mount manager leaves claimed mounts to the shim: EROFS layers are a disk as
 * with any other version, and the writable image of a snapshot is its container's writable layer.
 */

import assert from "node:assert/strict";
import { BUSYBOX, LAYERS, RUNTIME } from "../lib/ctr.ts";
import { removeClientFifos } from "../lib/containers.ts";
import {
  forgetNewerContainerd,
  NewerContainerd,
  whyNoNewerContainerd,
} from "../lib/newer_containerd.ts";
import { kill, qemuOf, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { assertNothingLeft, snapshot } from "../lib/system_state.ts";
import { patience, until } from "../lib/wait.ts";

const SIZE_MIB = 64;
const FULL = "No space left on device";
const why = whyNoNewerContainerd();

Deno.test({
  name: `containerd 2.4${why === null ? "" : ` (skipped: ${why})`}`,
  ignore: why !== null,
  fn: async (t) => {
    try {
      {
        await using containerd = await NewerContainerd.start(`default_size = "${SIZE_MIB}MiB"`);
        await containerd.copyImage(LAYERS, "erofs");
        await mergedImage(t, containerd);
        await containerd.copyImage(BUSYBOX, "erofs");
        await writableImages(t, containerd);
      }
      {
        await using containerd = await NewerContainerd.start();
        await containerd.copyImage(BUSYBOX, "overlayfs");
        await otherSnapshots(t, containerd);
      }
    } finally {
      await forgetNewerContainerd();
    }
  },
});

async function writableImages(t: Deno.TestContext, containerd: NewerContainerd): Promise<void> {
  const step = steps(t, containerd);
  await writableDisk(step, containerd);
  await exitedImage(step, containerd);
  await recoveredImage(step, containerd);
}

type StepWithId = ReturnType<typeof steps>;

async function writableDisk(step: StepWithId, containerd: NewerContainerd): Promise<void> {
  await step("the snapshot's image is a disk, and so are the layers", async (id) => {
    // The second run finds what the first has left.
    const script = `if [ -e /kept ]; then cat /kept; exit; fi
      cat /layers/top; ls /layers | wc -l; mkdir /d; rm /layers/1; echo kept > /kept; echo ready; read _
      dd if=/dev/zero of=/big bs=1M count=100 2>&1 | grep -o '${FULL}'
      echo $(($(wc -c < /big) >> 20)); rm /big; echo more > /d/more`;
    await using client = containerd.client(
      run(id, LAYERS, "erofs", ["sh", "-c", script]),
      true,
    );
    await client.line("ready");
    const roles = sandboxProcesses(id).map(({ role }) => role);
    assert.equal(roles.includes("virtiofsd"), false, roles.join());
    assert.deepEqual(containerd.mounts(), []);
    const [image, ...others] = containerd.writableImages();
    assert.deepEqual([Deno.statSync(image!).size, others], [SIZE_MIB << 20, []]);

    // Nothing has asked for a sync so far.
    await containerd.ctrOk("task", "pause", id);
    assert.equal(await contentOf(image!, "/upper/kept"), "kept\n");
    await checked(image!);
    const { stderr: busy } = await containerd.ctr("task", "exec", "--exec-id", "x", id, "true");
    assert.match(busy, /paused/);
    await containerd.ctrOk("task", "resume", id);

    await client.write("go on\n");
    const { code, stdout, stderr } = await client.ended;
    const [top, count, ready, full, mib] = stdout.trim().split("\n");
    assert.deepEqual([code, top, count, ready, full], [0, "20", "17", "ready", FULL], stderr);
    assert(Number(mib) > 40 && Number(mib) < SIZE_MIB, stdout);
    assert.equal(await contentOf(image!, "/upper/d/more"), "more\n");
    assert.doesNotMatch(await checked(image!), /journal/);

    {
      using file = Deno.openSync(image!);
      file.lockSync(true);
      const refused = await containerd.ctr("task", "start", id);
      assert.notEqual(refused.code, 0);
      assert.match(
        refused.stderr,
        /rwlayer\.img is in use by another container: prepare one snapshot per container/,
      );
    }
    assert.equal(await containerd.ctrOk("task", "start", id), "kept\n");

    // commit mounts the image without replaying its journal.
    await containerd.ctrOk("snapshots", "--snapshotter", "erofs", "commit", `${id}-c`, id);
    const layer = image!.replace("rwlayer.img", "layer.erofs");
    assert.equal(await output("dump.erofs", ["--cat", "--path=/d/more", layer]), "more\n");
    await containerd.ctrOk("snapshots", "--snapshotter", "erofs", "rm", `${id}-c`);
  });
}

async function exitedImage(step: StepWithId, containerd: NewerContainerd): Promise<void> {
  await step("a container's writes are in the image when its exit is reported", async (id) => {
    const [command, ...rest] = run(id, BUSYBOX, "erofs", ["sh", "-c", "echo kept > /kept"]);
    await containerd.ctrOk(command!, "-d", ...rest);
    await until("exit of the container", patience(30_000), async () => {
      const line = (await containerd.ctrOk("task", "ls")).split("\n").find((l) => l.startsWith(id));
      return line?.includes("STOPPED") || null;
    });
    // Its VM still runs.
    assert.notDeepEqual(sandboxProcesses(id), []);
    const [image] = containerd.writableImages();
    assert.equal(await contentOf(image!, "/upper/kept"), "kept\n");
    await checked(image!);
  });
}

async function recoveredImage(step: StepWithId, containerd: NewerContainerd): Promise<void> {
  await step("the image of a container whose QEMU is killed can be recovered", async (id) => {
    const script = `if [ -e /kept ]; then cat /kept; exit; fi
      echo kept > /kept; sync; echo ready
      while :; do mkdir /x; echo x > /x/y; rm -r /x; done`;
    await using client = containerd.client(run(id, BUSYBOX, "erofs", ["sh", "-c", script]));
    await client.line("ready");
    const [image] = containerd.writableImages();
    kill(qemuOf(id), "SIGKILL");
    assert.equal((await client.ended).code, 137);
    assert.deepEqual(sandboxProcesses(id), []);

    const copy = Deno.makeTempFileSync({ dir: "/run" });
    await Deno.copyFile(image!, copy);
    // Status 1: e2fsck has repaired something, here by the journal.
    assert.match(await output("e2fsck", ["-fp", copy], 1), /recovering journal/);
    assert.equal(await contentOf(copy, "/upper/kept"), "kept\n");
    Deno.removeSync(copy);
    assert.equal(await containerd.ctrOk("task", "start", id), "kept\n");
  });
}

/** Another tool may have merged layers into an image whose data are in the layers. */
async function mergedImage(t: Deno.TestContext, containerd: NewerContainerd): Promise<void> {
  const layers = containerd.layerImages();
  const merged = layers.at(-1)!.replace(/[^/]*$/, "fsmeta.erofs");
  await output("mkfs.erofs", ["--quiet", "--aufs", "--ovlfs-strip=1", merged, ...layers]);
  await steps(t, containerd)("a merged image has the layers as its devices", async (id) => {
    const script = "cat /layers/top; ls /layers | wc -l; grep -o 'lowerdir=[^,]*' /proc/mounts";
    const said = await containerd.ctrOk(...run(id, LAYERS, "erofs", ["sh", "-c", script]));
    assert.equal(said, "20\n17\nlowerdir=layers/0\n");
  });
  Deno.removeSync(merged);
}

async function otherSnapshots(t: Deno.TestContext, containerd: NewerContainerd): Promise<void> {
  const step = steps(t, containerd);
  const script = "echo x > /x && cat /x; df -k / | awk 'END { print ($2 > 100000) }'";
  for (const [snapshotter, image] of [["erofs", LAYERS], ["overlayfs", BUSYBOX]] as const) {
    await step(`a snapshot of ${snapshotter} without a writable image works`, async (id) => {
      const said = await containerd.ctrOk(...run(id, image, snapshotter, ["sh", "-c", script]));
      assert.equal(said, "x\n1\n");
      assert.deepEqual(containerd.writableImages(), []);
      assert.deepEqual(containerd.mounts(), []);
    });
  }
}

/** Returns a function that runs a step with its own container, which must leave nothing. */
function steps(t: Deno.TestContext, containerd: NewerContainerd) {
  return async (name: string, work: (id: string) => Promise<void>): Promise<void> => {
    await t.step(name, async () => {
      const id = `e2e-newer-${crypto.randomUUID().slice(0, 8)}`;
      const before = await snapshot();
      try {
        await work(id);
      } finally {
        await containerd.ctr("task", "rm", "--force", id);
        await containerd.ctr("containers", "rm", id);
        removeClientFifos(id);
        await containerd.collectGarbage();
      }
      await assertNothingLeft(before, { withinMs: patience(5_000) });
    });
  };
}

function run(id: string, image: string, snapshotter: string, command: readonly string[]): string[] {
  return ["run", "--runtime", RUNTIME, "--snapshotter", snapshotter, image, id, ...command];
}

/** Returns the content of a file in an ext4 image, without mounting it. */
function contentOf(image: string, path: string): Promise<string> {
  return output("debugfs", ["-R", `cat ${path}`, image]);
}

/** Checks an image, which must be clean. Returns e2fsck's output. */
function checked(image: string): Promise<string> {
  return output("e2fsck", ["-fn", image]);
}

/** Runs a program. Returns its output. @throws {AssertionError} if it exits with another code. */
async function output(program: string, args: string[], wanted = 0): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = new TextDecoder();
  const said = text.decode(stdout);
  assert.equal(code, wanted, `${program} ${args.join(" ")}: ${said}${text.decode(stderr)}`);
  return said;
}
