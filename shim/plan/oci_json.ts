/** JSON of the specification is read and written alike on both sides. */
export { encodeOciJson, parseOciJson } from "../../proto/mod.ts";
