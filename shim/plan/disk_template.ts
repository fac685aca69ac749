import { createHash } from "node:crypto";

/**
 * Arguments of mkfs.ext4. No journal: nobody reads the disk after a crash of the guest. All
 * metadata lies at the beginning, once, and is marked as zeroed, so that nothing but the
 * container's own data is written later. The rest makes two runs give the same bytes.
 */
export const MKFS_ARGUMENTS: readonly string[] = [
  ...["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0"],
  ...["-U", "00000000-0000-4000-8000-000000000000"],
  "-O",
  "none,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super2,large_file,huge_file,uninit_bg," +
  "dir_nlink,extra_isize",
  "-E",
  "num_backup_sb=0,packed_meta_blocks=1,lazy_itable_init=0,assume_storage_prezeroed=1,nodiscard," +
  "root_owner=0:0,hash_seed=00000000-0000-4000-8000-000000000000",
];

/** Returns the file of a template, named after everything that it is made of. */
export function templatePath(
  { stateDir, mib }: { readonly stateDir: string; readonly mib: number },
): string {
  const recipe = createHash("sha256").update(MKFS_ARGUMENTS.join("\0")).digest("hex").slice(0, 16);
  return `${stateDir}/templates/ext4-${mib}MiB-${recipe}`;
}
