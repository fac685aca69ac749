# An mmdebstrap hook ($1 is the root): adds the kernel of the suite's cloud image and its modules,
# which are what the lab boots. Not the package linux-image itself: it wants an initramfs made.
set -eu
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
export APT_CONFIG
release=$(apt-cache depends linux-image-cloud-amd64 |
  sed -n 's/^ *Depends: linux-image-\([0-9].*\)$/\1/p')
apt-get --yes -o DPkg::Chroot-Directory="$1" install \
  "linux-base-$release" "linux-binary-$release" "linux-modules-$release"
