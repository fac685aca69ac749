/** EX_UNAVAILABLE of sysexits.h: what a program needs is out of reach. */
export const UNAVAILABLE = 69;
