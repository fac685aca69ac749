import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isSystemError, type System, system, SystemError } from "../../ffi/mod.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import { makeWritableDisk } from "./writable_disk.ts";
import { templatePath } from "../plan/disk_template.ts";

const MKFS = "/usr/sbin/mkfs.ext4";
const FSCK = "/usr/sbin/e2fsck";
const MIB = 1024 * 1024;
const SECTOR_BYTES = 512;
/** Without e2fsprogs there is nothing to test. */
const ignore = !exists(MKFS) || !exists(FSCK);

Deno.test({
  name: "a disk is a sparse ext4 without a name, of each size",
  ignore,
  fn: async () => {
    using folder = temporaryFolder();
    const stateDir = folder.path;
    for (const mib of [16, 100, 129, 10_240, 1024 * 1024]) {
      const fd = await makeWritableDisk(system, { stateDir, mib, mkfsPath: MKFS });
      try {
        const file = `/proc/self/fd/${fd}`;
        const { size, blocks, nlink } = Deno.statSync(file);
        assert.deepEqual([size, nlink], [mib * MIB, 0]);
        assert(blocks! * SECTOR_BYTES < 3 * MIB, `${mib} MiB take ${blocks} blocks`);
        // Under its descriptor's number here: a child has no other descriptors of ours.
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
  name: "a template is made once, and is the same whoever makes it",
  ignore,
  fn: async () => {
    using folder = temporaryFolder();
    const disks = ["a", "b"].map((name) => ({ stateDir: `${folder.path}/${name}`, mib: 64 }));
    for (const disk of disks) {
      Deno.mkdirSync(disk.stateDir);
      system.close(await makeWritableDisk(system, { ...disk, mkfsPath: MKFS }));
      // With no mkfs.ext4 to call.
      system.close(await makeWritableDisk(system, { ...disk, mkfsPath: null }));
    }
    const hashes = disks.map((disk) =>
      createHash("sha256").update(Deno.readFileSync(templatePath(disk))).digest("hex")
    );
    assert.equal(hashes[0], hashes[1]);
  },
});

Deno.test("what fails is told and leaves nothing", async () => {
  using folder = temporaryFolder();
  const disk = { stateDir: folder.path, mib: 64 };
  const left = () =>
    [...Deno.readDirSync(folder.path)].flatMap(({ name }) =>
      [...Deno.readDirSync(`${folder.path}/${name}`)].map(({ name }) => name)
    );
  await assert.rejects(
    makeWritableDisk(system, { ...disk, mkfsPath: null }),
    /templates\/ext4-64MiB-[0-9a-f]{16} was removed just now; try again/,
  );
  await assert.rejects(
    makeWritableDisk(system, { ...disk, mkfsPath: "/bin/false" }),
    /\/bin\/false ended with exit status 1/,
  );
  assert.deepEqual(left(), []);
});

Deno.test({
  name: "a file system without nameless files, and one without holes",
  ignore,
  fn: async () => {
    using folder = temporaryFolder();
    const disk = { stateDir: folder.path, mib: 128, mkfsPath: MKFS };
    const noNameless: System = {
      ...system,
      open: (path, flags, mode) => {
        if (path === folder.path) throw new SystemError("open", "EOPNOTSUPP");
        return system.open(path, flags, mode);
      },
    };
    const fd = await makeWritableDisk(noNameless, disk);
    assert.equal(Deno.statSync(`/proc/self/fd/${fd}`).nlink, 0);
    system.close(fd);
    assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["templates"]);
    const noHoles: System = {
      ...system,
      nextData: (_, from) => from < disk.mib * MIB ? { start: from, end: disk.mib * MIB } : null,
    };
    await assert.rejects(makeWritableDisk(noHoles, disk), /keeps no holes in files: set state_dir/);
  },
});

Deno.test({
  name: "templates do not heap up",
  ignore,
  fn: async () => {
    using folder = temporaryFolder();
    const stateDir = folder.path;
    for (let mib = 16; mib < 40; mib++) {
      system.close(await makeWritableDisk(system, { stateDir, mib, mkfsPath: MKFS }));
    }
    assert.equal([...Deno.readDirSync(`${stateDir}/templates`)].length, 16);
    assert(exists(templatePath({ stateDir, mib: 39 })));
  },
});

Deno.test("a state folder that is not there is named", async () => {
  const disk = { stateDir: "/proc/no-such-folder", mib: 64, mkfsPath: null };
  await assert.rejects(makeWritableDisk(system, disk), (error) => {
    return isSystemError(error, "ENOENT") || /no-such-folder/.test((error as Error).message);
  });
});
