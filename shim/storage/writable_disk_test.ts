import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isSystemError, type System, system, SystemError } from "../../ffi/mod.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import { MIB } from "../../base/mod.ts";
import { makeWritableDisk } from "./writable_disk.ts";
import { templatePath } from "../plan/disk_template.ts";

const MKFS = "/usr/sbin/mkfs.ext4";
const FSCK = "/usr/sbin/e2fsck";
const SECTOR_BYTES = 512;
/** Without e2fsprogs there is nothing to test. */
const ignore = !exists(MKFS) || !exists(FSCK);

Deno.test({
  name: "a disk of any size is a sparse ext4 without a name",
  ignore,
  fn: async () => {
    using directory = temporaryFolder();
    const stateDir = directory.path;
    for (const mib of [16, 100, 129, 10_240, 1024 * 1024]) {
      const fd = await makeWritableDisk(system, { stateDir, mib, mkfsPath: MKFS });
      try {
        const file = `/proc/self/fd/${fd}`;
        const { size, blocks, nlink } = Deno.statSync(file);
        assert.deepEqual([size, nlink], [mib * MIB, 0]);
        assert(blocks! * SECTOR_BYTES < 3 * MIB, `${mib} MiB take ${blocks} blocks`);
        // By the descriptor of this process: a child inherits none of ours.
        const { success, stdout } = await new Deno.Command(FSCK, {
          args: ["-fn", `/proc/${Deno.pid}/fd/${fd}`],
        }).output();
        assert(success, new TextDecoder().decode(stdout));
      } finally {
        system.close(fd);
      }
    }
    assert.deepEqual([...Deno.readDirSync(stateDir)].map(({ name }) => name), ["templates"]);
  },
});

Deno.test({
  name: "a template is made once, and its bytes depend on nothing but its size",
  ignore,
  fn: async () => {
    using directory = temporaryFolder();
    const disks = ["a", "b"].map((name) => ({ stateDir: `${directory.path}/${name}`, mib: 64 }));
    for (const disk of disks) {
      Deno.mkdirSync(disk.stateDir);
      system.close(await makeWritableDisk(system, { ...disk, mkfsPath: MKFS }));
      // Without mkfs.ext4.
      system.close(await makeWritableDisk(system, { ...disk, mkfsPath: null }));
    }
    const hashes = disks.map((disk) =>
      createHash("sha256").update(Deno.readFileSync(templatePath(disk))).digest("hex")
    );
    assert.equal(hashes[0], hashes[1]);
  },
});

Deno.test("a failure names the template or the program, and leaves no file", async () => {
  using directory = temporaryFolder();
  const disk = { stateDir: directory.path, mib: 64 };
  const left = () =>
    [...Deno.readDirSync(directory.path)].flatMap(({ name }) =>
      [...Deno.readDirSync(`${directory.path}/${name}`)].map(({ name }) => name)
    );
  await assert.rejects(
    makeWritableDisk(system, { ...disk, mkfsPath: null }),
    {
      kind: "aborted",
      message: /^disk template .*templates\/ext4-64MiB-[0-9a-f]{16} was just removed: try again$/,
    },
  );
  await assert.rejects(
    makeWritableDisk(system, { ...disk, mkfsPath: "/bin/false" }),
    { kind: "failed", message: /^writable disk: \/bin\/false failed with exit status 1: / },
  );
  assert.deepEqual(left(), []);
});

Deno.test({
  name: "a file system without O_TMPFILE is used, one without holes is refused",
  ignore,
  fn: async () => {
    using directory = temporaryFolder();
    const disk = { stateDir: directory.path, mib: 128, mkfsPath: MKFS };
    const noNameless: System = {
      ...system,
      open: (path, flags, mode) => {
        if (path === directory.path) throw new SystemError("open", "EOPNOTSUPP");
        return system.open(path, flags, mode);
      },
    };
    const fd = await makeWritableDisk(noNameless, disk);
    assert.equal(Deno.statSync(`/proc/self/fd/${fd}`).nlink, 0);
    system.close(fd);
    assert.deepEqual([...Deno.readDirSync(directory.path)].map(({ name }) => name), ["templates"]);
    const noHoles: System = {
      ...system,
      nextData: (_, from) => from < disk.mib * MIB ? { start: from, end: disk.mib * MIB } : null,
    };
    await assert.rejects(makeWritableDisk(noHoles, disk), {
      kind: "host",
      message: /^file system of state_dir keeps no holes in files: set state_dir/,
    });
  },
});

Deno.test({
  name: "at most 16 templates are kept, the newest among them",
  ignore,
  fn: async () => {
    using directory = temporaryFolder();
    const stateDir = directory.path;
    for (let mib = 16; mib < 40; mib++) {
      system.close(await makeWritableDisk(system, { stateDir, mib, mkfsPath: MKFS }));
    }
    assert.equal([...Deno.readDirSync(`${stateDir}/templates`)].length, 16);
    assert(exists(templatePath({ stateDir, mib: 39 })));
  },
});

Deno.test("a missing state directory is named", async () => {
  const disk = { stateDir: "/proc/no-such-directory", mib: 64, mkfsPath: null };
  await assert.rejects(makeWritableDisk(system, disk), (error) => {
    return isSystemError(error, "ENOENT") || /no-such-directory/.test((error as Error).message);
  });
});
