/** Where the scripts find and put things. All paths are absolute. */

/** The repository. */
export const REPOSITORY: string = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

/** What the build leaves for people: the shim, the kernel and the root image. */
export const OUTPUT: string = `${REPOSITORY}/_output`;

/** `${XDG_CACHE_HOME:-~/.cache}/qemubox`: everything that may be deleted and made again. */
export function cacheFolder(...parts: string[]): string {
  const home = Deno.env.get("HOME") || "/root";
  const base = Deno.env.get("XDG_CACHE_HOME") || `${home}/.cache`;
  return [base, "qemubox", ...parts].join("/");
}

/** `path` if it names something (symbolic links are followed), else null. */
export function existing(path: string): string | null {
  try {
    Deno.statSync(path);
    return path;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    throw error;
  }
}
