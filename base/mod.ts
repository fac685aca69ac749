/**
 * Small helpers that every directory may import, and that import nothing of ours.
 *
 * @module
 */
export { abortOf, after, type DeadlineOptions, endsWithin, withDeadline } from "./deadline.ts";
export { delay } from "./delay.ts";
export { inheritedEnvironment } from "./environment.ts";
export { describeError, messageOf, unsuppressed } from "./errors.ts";
export {
  ifPresent,
  isDirectory,
  isThere,
  listIfPresent,
  readIfPresent,
  removeIfPresent,
} from "./fs.ts";
export { IDENTIFIER_CHARACTERS_MAX, isIdentifier } from "./identifier.ts";
export { Limiter } from "./limiter.ts";
export { poll } from "./poll.ts";
export { transition, type Transitions } from "./state_machine.ts";
export { oneLine, printable, quoted } from "./text.ts";
export { type RateLimit, TokenBucket } from "./token_bucket.ts";
export { MIB } from "./units.ts";
export { BUILD, BUILD_GLOBAL, VERSION } from "./version.ts";
