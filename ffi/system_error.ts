import { ERRNO_TABLE } from "./errno_table.ts";

/** Made at the first error, to keep it off the start path. */
let byErrno: Map<number, { readonly code: string; readonly meaning: string }> | undefined;

/** A failed system call. The message reads "open /x: no such file or directory (ENOENT)". */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The call, by the name of its man page. */
  readonly syscall: string;
  /** The symbolic errno, such as "ENOENT". */
  readonly code: string;
  /** The errno number on this architecture. */
  readonly errno: number;
  /** The path that the call was about. */
  declare readonly path?: string;

  /** `errno` is a number or a name. */
  constructor(syscall: string, errno: number | string, options: SystemErrorOptions = {}) {
    const number = typeof errno === "number" ? errno : errnoNumber(errno);
    const code = typeof errno === "string" ? errno : errnoName(errno);
    const about = options.path === undefined ? syscall : `${syscall} ${options.path}`;
    const meaning = known(number)?.meaning ?? "unknown error";
    super(
      `${about}: ${meaning} (${code})`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.syscall = syscall;
    this.code = code;
    this.errno = number;
    if (options.path !== undefined) this.path = options.path;
  }
}

/**
 * Returns whether `error` is a {@link SystemError} with one of `codes`, or any if there are none.
 */
export function isSystemError(error: unknown, ...codes: string[]): error is SystemError {
  return error instanceof SystemError && (codes.length === 0 || codes.includes(error.code));
}

/** Optional details of a {@link SystemError}. */
export interface SystemErrorOptions {
  /** The path that the call was about. */
  path?: string;
  cause?: unknown;
}

/** Returns the name of an errno ("ENOENT" for 2), or "E<number>" for an unknown one. */
export function errnoName(errno: number): string {
  return known(errno)?.code ?? `E${errno}`;
}

/** Returns the errno of a name (2 for "ENOENT"), or 0 for an unknown name. */
export function errnoNumber(code: string): number {
  return ERRNO_TABLE.find(([, name]) => name === code)?.[0] ?? 0;
}

function known(errno: number): { readonly code: string; readonly meaning: string } | undefined {
  byErrno ??= new Map(ERRNO_TABLE.map(([errno, code, meaning]) => [errno, { code, meaning }]));
  return byErrno.get(errno);
}
