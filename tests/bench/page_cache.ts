import { run } from "./shim_container.ts";

const PAGE_BYTES = 4096;

/**
 * Prints for each file how many of its pages are cached. It calls mmap(2) and mincore(2) by their
 * numbers on x86-64, since fincore(1) of util-linux is in a separate package, and no library of
 * ours has these calls.
 */
const COUNT_PAGES = `
  for my $path (@ARGV) {
    open(my $file, "<", $path) or die "$path: $!";
    my $bytes = -s $file or next;
    my $pages = int(($bytes + ${PAGE_BYTES - 1}) / ${PAGE_BYTES});
    my $address = syscall(9, 0, $bytes, 1, 1, fileno($file), 0);
    die "mmap of $path: $!" if $address == -1;
    my $there = "\\0" x $pages;
    syscall(27, $address, $bytes, $there) == 0 or die "mincore of $path: $!";
    syscall(11, $address, $bytes);
    print unpack("%32b*", $there & ("\\1" x $pages)), "\\n";
  }`;

/** Returns how many MiB of these files the host's page cache holds. */
export async function cachedMib(paths: readonly string[]): Promise<number> {
  const counts = (await run("perl", ["-e", COUNT_PAGES, ...paths])).split("\n");
  return counts.reduce((sum, count) => sum + Number(count), 0) * PAGE_BYTES / 1024 / 1024;
}

/**
 * Drops a file from the host's page cache. Mapped pages stay, and so does a file in memory (tmpfs).
 */
export async function dropFromCache(path: string): Promise<void> {
  await run("sync", [path]);
  await run("dd", [`if=${path}`, "iflag=nocache", "count=0"]);
}
