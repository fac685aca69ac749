/** EX_UNAVAILABLE of sysexits.h: something that the program needs cannot be downloaded. */
export const UNAVAILABLE = 69;
