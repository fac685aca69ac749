# Builds the kernel, in two steps because the configuration is checked between them:
#   configure  unpacks the source; fragment.config -> config
#   compile    config -> vmlinux (stripped)
# Runs in the toolchain root (chroot); /build is its scratch folder.
set -eu
cd /build
case $1 in
configure)
  mkdir unpacked tree
  dpkg-deb --fsys-tarfile /source/linux-source.deb | tar -x -C unpacked
  tar -xJf unpacked/usr/src/linux-source-*.tar.xz -C tree --strip-components=1
  rm -rf unpacked
  # Free memory is reported every half second, and not every two, 256 MiB at a time: a GiB that a
  # container has freed shall be the host's within seconds. While nothing is freed there are no reports.
  delay='#define PAGE_REPORTING_DELAY'
  sed -i "s|^$delay.*|$delay (HZ / 2)|" tree/mm/page_reporting.c
  grep -q "^$delay (HZ / 2)" tree/mm/page_reporting.c
  # The kernel's memory areas are at random addresses only if the decompressor has said so in the
  # boot parameters. A PVH boot has no decompressor, so its entry says it.
  pvh=tree/arch/x86/platform/pvh/enlighten.c
  version='pvh_bootparams.hdr.version = (2 << 8) | 12;'
  sed -i "s/^\t$version$/&\n\tpvh_bootparams.hdr.loadflags |= KASLR_FLAG;/" $pvh
  grep -q "loadflags |= KASLR_FLAG" $pvh
  make -s -C tree allnoconfig KCONFIG_ALLCONFIG=/build/fragment.config
  cp tree/.config config
  ;;
compile)
  # The same sources give the same bytes, whoever builds them and when.
  make -s -C tree -j"$(nproc)" vmlinux \
    KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:00 UTC' KBUILD_BUILD_VERSION=1 \
    KBUILD_BUILD_USER=qemubox KBUILD_BUILD_HOST=qemubox
  strip -o vmlinux tree/vmlinux
  ;;
esac
