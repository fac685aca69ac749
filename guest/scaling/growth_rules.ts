import type { guest } from "../../proto/mod.ts";

/** The rules of a ConfigureRequest by which the guest grows. An absent rule means no growth. */
export type GrowthRules = Pick<guest.ConfigureRequest, "byLoad" | "memoryByPressure">;
