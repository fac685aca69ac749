import type { VmConfig } from "./config.ts";
import { checkSlots, deviceCounts } from "./devices.ts";
import { VmError } from "./error.ts";
import { CID_MAX, CID_MIN, MEMORY_MIB_MAX, MEMORY_MIB_MIN, VCPUS_MAX } from "./limits.ts";

/**
 * Checks a configuration as a whole, with the vsock context id that was leased for it.
 *
 * @throws VmError `config`, naming the field.
 */
export function validateVmConfig(config: VmConfig, cid: number): void {
  checkSlots(deviceCounts(config));
  for (
    const field of ["qemuPath", "firmwarePath", "kernelPath", "rootPath", "initrdPath"] as const
  ) {
    const path = config.files[field];
    need(/^\/[^\0\n]*$/.test(path), field, path, "an absolute path");
  }
  need(/^[\x21-\x7e]{1,256}$/.test(config.name), "name", config.name, "1 to 256 printable bytes");
  needInteger(config.size.memoryMibMax, MEMORY_MIB_MIN, MEMORY_MIB_MAX, "memoryMibMax");
  needInteger(config.size.vcpusMax, 1, VCPUS_MAX, "vcpusMax");
  needInteger(config.size.vcpus, 1, config.size.vcpusMax, "vcpus");
  needInteger(cid, CID_MIN, CID_MAX, "cid");
  if (config.tscKhz !== null) needInteger(config.tscKhz, 100_000, 20_000_000, "tscKhz");

  needUnique(config.shares.map((one) => one.tag), "shares.tag");
  for (const { tag } of config.shares) {
    need(
      /^[A-Za-z0-9._-]{1,35}$/.test(tag),
      "shares.tag",
      tag,
      "1 to 35 of A-Z a-z 0-9 . _ -",
    );
  }
  const disks = [...config.disks, ...config.scratchDisks];
  needUnique(disks.map((one) => one.serial), "disks.serial");
  for (const { serial } of disks) {
    need(/^[A-Za-z0-9._-]{1,20}$/.test(serial), "disks.serial", serial, "1 to 20 of A-Z a-z 0-9");
  }
  for (const { mac } of config.nics) {
    need(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac), "nics.mac", mac, "a unicast address");
  }
  for (const parameter of config.kernelParameters ?? []) {
    need(
      /^[\x21-\x7e]{1,256}$/.test(parameter),
      "kernelParameters",
      parameter,
      "printable characters without spaces",
    );
  }
}

function need(right: boolean, field: string, value: unknown, what: string): void {
  if (!right) {
    throw new VmError("config", `${field} ${JSON.stringify(value)} must be ${what}`);
  }
}

function needInteger(value: number, min: number, max: number, field: string): void {
  need(
    Number.isInteger(value) && value >= min && value <= max,
    field,
    value,
    `a whole number from ${min} to ${max}`,
  );
}

function needUnique(values: readonly string[], field: string): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) throw new VmError("config", `${field} "${twice}" is used twice`);
}
