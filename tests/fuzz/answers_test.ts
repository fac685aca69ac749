/** Answers of a hostile guest that go on to containerd, into errors and into logs. */

import assert from "node:assert/strict";
import {
  type Any,
  cgroups,
  Code,
  create,
  fromBinary,
  packAny,
  runcOptions,
  taskV3,
  toBinary,
  unpackAny,
} from "../../proto/mod.ts";
import { StatusSchema } from "../../proto/gen/google/rpc/status_schema.ts";
import { errorOf } from "../../proto/rpc_error.ts";
import { formatLine } from "../../shim/base/log.ts";
import { RefusedError } from "../../shim/base/refused_error.ts";
import { checkedProcesses, checkedStats } from "../../shim/guest_client/guest_answers.ts";
import { checkGuestBuild } from "../../shim/guest_client/guest_build.ts";
import { GuestError, refusedByGuest } from "../../shim/guest_client/guest_error.ts";
import { toRpcError } from "../../shim/task/errors.ts";
import { fuzz } from "./fuzz.ts";
import { isPlain, type Target, utf8 } from "./target.ts";

const STATS_BYTES_MAX = 256 * 1024;
const ERROR_CHARACTERS_MAX = 2048;
/** 100 quoted characters, each of which may be an escape, and the words around them. */
const BUILD_ERROR_CHARACTERS_MAX = 6 * 100 + 200;
/** Text that terminals, logs and JSON take for something else. */
const WORDS = ["\x1b[2J", "\x07", "\n", "\r", "\u202e", "\u2028", "\ufffe", '"', "\\", "\u{e0001}"];

const isHostile = (error: unknown) => error instanceof GuestError && error.kind === "hostile";

const metrics = (init: Parameters<typeof packAny<typeof cgroups.MetricsSchema>>[1]) =>
  packAny(cgroups.MetricsSchema, init).value;

const statistics: Target = {
  name: "statistics",
  seeds: [
    metrics({ pids: { current: 3n, limit: 7n }, memory: { usage: 1n << 40n } }),
    metrics({ cpu: { usageUsec: 5n }, io: { usage: [{ major: 254n, rios: 1n }] } }),
    metrics({ hugetlb: [{ current: 1n, pagesize: "2MB" }], network: [{ name: "eth0" }] }),
  ],
  bytesMax: STATS_BYTES_MAX + 1,
  parse: (bytes) => {
    const typeUrl = cgroups.MetricsSchema.typeName;
    const checked = checkedStats({ typeUrl, value: bytes } as Any);
    assert(checked.value.length <= STATS_BYTES_MAX, `${checked.value.length} bytes`);
    assert.equal(checked.typeUrl, typeUrl);
    assert.deepEqual(checkedStats(checked), checked);
    return "metrics";
  },
  refuses: isHostile,
};

const process = (pid: number, execId: string) => ({
  pid,
  info: packAny(runcOptions.ProcessDetailsSchema, { execId }),
});

const processes: Target = {
  name: "processes",
  seeds: [
    toBinary(
      taskV3.PidsResponseSchema,
      create(taskV3.PidsResponseSchema, { processes: [process(1, ""), process(9, "e1")] }),
    ),
  ],
  words: ["e1", runcOptions.ProcessDetailsSchema.typeName],
  parse: (bytes) => {
    let decoded: taskV3.PidsResponse;
    try {
      decoded = fromBinary(taskV3.PidsResponseSchema, bytes);
    } catch {
      return "not a response";
    }
    const listed = checkedProcesses(decoded.processes, (execId) => execId === "e1");
    assert(listed.length <= 32_768);
    const known = listed.flatMap(({ info }) => info ?? []).map((info) => {
      return unpackAny(runcOptions.ProcessDetailsSchema, info).execId;
    });
    assert(known.every((execId) => execId === "e1"), known.join(" "));
    return "pid ".repeat(Math.min(listed.length, 8)) + known.slice(0, 8);
  },
  refuses: isHostile,
};

const build: Target = {
  name: "guest-build",
  seeds: [utf8("0.1.0 (abc123)"), utf8("0.1.0 (abc123 dirty)")],
  words: WORDS,
  parse: (bytes) => {
    checkGuestBuild(new TextDecoder().decode(bytes), "0.1.0 (other)");
    return "same";
  },
  refuses: (error) =>
    error instanceof RefusedError && isPlain(error.message, BUILD_ERROR_CHARACTERS_MAX),
};

const errors: Target = {
  name: "guest-errors",
  seeds: [
    toBinary(StatusSchema, create(StatusSchema, { code: 5, message: "no such task" })),
    toBinary(
      StatusSchema,
      create(StatusSchema, { code: 99, message: "x\n", details: [process(1, "e").info] }),
    ),
  ],
  words: WORDS,
  parse: (bytes) => {
    let error: unknown;
    try {
      error = refusedByGuest(errorOf(fromBinary(StatusSchema, bytes)) ?? new Error("none"));
    } catch {
      return "not a status";
    }
    const { code, message } = toRpcError(error);
    assert(isPlain(message, ERROR_CHARACTERS_MAX), `not plain: ${JSON.stringify(message)}`);
    const raw = (error as Error).message;
    const line = formatLine({
      ...{ category: ["qemubox"], level: "error", timestamp: 0, rawMessage: raw },
      ...{ message: [raw], properties: { namespace: "default", id: "c", stream: raw } },
    });
    assert(line.endsWith("\n") && isPlain(line.slice(0, -1), Infinity), `not plain: ${line}`);
    return Code[code];
  },
  refuses: () => false,
};

fuzz(statistics, processes, build, errors);
