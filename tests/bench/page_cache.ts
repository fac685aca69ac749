import { run } from "./shim_container.ts";

const PAGE_BYTES = 4096;

/**
 * mmap(2) and mincore(2) by their numbers on x86-64: util-linux has its fincore(1) in a package of its
 * own, and these are in no library of ours. A line for each file: how many of its pages are there.
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

/** How much of some files the host's page cache holds. MiB. */
export async function cachedMib(paths: readonly string[]): Promise<number> {
  const counts = (await run("perl", ["-e", COUNT_PAGES, ...paths])).split("\n");
  return counts.reduce((sum, count) => sum + Number(count), 0) * PAGE_BYTES / 1024 / 1024;
}

/**
 * Takes a file out of the host's page cache, and of no other's: what of it is mapped stays, and so does
 * all of it where it lies in memory (tmpfs).
 */
export async function dropFromCache(path: string): Promise<void> {
  await run("sync", [path]);
  await run("dd", [`if=${path}`, "iflag=nocache", "count=0"]);
}
