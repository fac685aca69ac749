import assert from "node:assert/strict";
import { temporaryFolder } from "../testing/test_support.ts";
import { assertOwnDirectory } from "./own_directory.ts";

const NOBODY = 65_534;
const isRoot = Deno.uid() === 0;

function message(path: string, uid?: number): string | null {
  try {
    assertOwnDirectory("run_dir", path, uid);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

Deno.test("a directory that only its owner can write to is accepted, and one still to be made", () => {
  using directory = temporaryFolder();
  const path = `${directory.path}/run`;
  assert.equal(message(`${path}/not/yet`), null);
  Deno.mkdirSync(path);
  for (const mode of [0o700, 0o711, 0o755, 0o750]) {
    Deno.chmodSync(path, mode);
    assert.equal(message(path), null, mode.toString(8));
  }
  Deno.symlinkSync(path, `${directory.path}/link`);
  assert.equal(message(`${directory.path}/link`), null);
  assert.equal(message(`${path}/`), null);
});

Deno.test("a directory that others can write to is refused with the fix", () => {
  using directory = temporaryFolder();
  const path = `${directory.path}/run`;
  Deno.mkdirSync(path);
  for (const [mode, octal] of [[0o770, "0770"], [0o702, "0702"], [0o1777, "1777"]] as const) {
    Deno.chmodSync(path, mode);
    assert.equal(
      message(path),
      `run_dir ${path} is writable for others (mode ${octal}): run "chmod go-w ${path}", or set ` +
        "QEMUBOX_RUN_DIR to a directory that only root can change",
    );
  }
  // The same through a link.
  Deno.symlinkSync(path, `${directory.path}/link`);
  assert.match(message(`${directory.path}/link`) ?? "", /is writable for others \(mode 1777\)/);
});

Deno.test("a parent in which others can replace the directory is refused", () => {
  using directory = temporaryFolder();
  const parent = `${directory.path}/parent`;
  Deno.mkdirSync(`${parent}/run`, { recursive: true });
  Deno.chmodSync(parent, 0o777);
  assert.match(message(`${parent}/run`) ?? "", /parent is writable for others \(mode 0777\)/);
  assert.match(message(`${parent}/not-yet`) ?? "", /parent is writable for others/);
  for (const mode of [0o1777, 0o775]) {
    Deno.chmodSync(parent, mode);
    assert.equal(message(`${parent}/run`), null, mode.toString(8));
  }
});

Deno.test({
  name: "a directory, a parent or a link of another user is refused",
  ignore: !isRoot,
  fn: () => {
    using directory = temporaryFolder();
    const path = `${directory.path}/parent/run`;
    Deno.mkdirSync(path, { recursive: true });
    Deno.chownSync(path, NOBODY, NOBODY);
    assert.equal(
      message(path),
      `run_dir ${path} belongs to uid ${NOBODY}: run "chown root ${path}", or set ` +
        "QEMUBOX_RUN_DIR to a directory that only root can change",
    );
    assert.equal(message(path, NOBODY), null, "its own user");
    Deno.chownSync(path, 0, 0);
    Deno.chownSync(`${directory.path}/parent`, NOBODY, NOBODY);
    assert.match(message(path) ?? "", /parent belongs to uid 65534/);
    Deno.chownSync(`${directory.path}/parent`, 0, 0);
    Deno.symlinkSync(path, `${directory.path}/link`);
    assert.equal(message(`${directory.path}/link`), null);
    const chown = new Deno.Command("chown", {
      args: ["-h", String(NOBODY), `${directory.path}/link`],
    });
    assert(chown.outputSync().success);
    assert.match(message(`${directory.path}/link`) ?? "", /link belongs to uid 65534/);
  },
});
