/** Branded numbers: a descriptor cannot be mistaken for a process id or a plain count. */

/** A file descriptor of this process. */
export type Fd = number & { readonly __brand: "Fd" };

/** A process id, in the pid namespace of this process. */
export type Pid = number & { readonly __brand: "Pid" };
