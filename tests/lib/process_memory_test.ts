import assert from "node:assert/strict";
import { memoryOfSmaps } from "./process_memory.ts";

const SMAPS =
  `7f00-7f10 rw-s 00000000 00:01 12345                     /memfd:memory-backend-memfd (deleted)
Size:             524288 kB
Rss:              204800 kB
Private_Clean:         0 kB
Private_Dirty:    204800 kB
VmFlags: rd wr sh mr mw me ms sd
7f20-7f30 rw-p 00000000 00:00 0
Rss:                4096 kB
Shared_Clean:       1024 kB
Private_Clean:      1024 kB
Private_Dirty:      2048 kB
7f40-7f50 r-xp 00000000 fe:00 99                         /usr/bin/qemu-system-x86_64
Rss:               10240 kB
Private_Clean:       512 kB
Private_Dirty:         0 kB
`;

Deno.test("private pages are summed, and the guest's memory is counted separately", () => {
  assert.deepEqual(memoryOfSmaps(SMAPS), { privateMib: 3.5, guestRamMib: 200 });
  assert.deepEqual(memoryOfSmaps(""), { privateMib: 0, guestRamMib: 0 });
});
