# An mmdebstrap hook ($1 is the root), the last one: leaves a line with name, version and SHA-256 of
# each installed package in /var/lib/qemubox-packages. The hashes are those of the archive's signed
# index, which apt has compared with each package. Runs outside of the root, with mmdebstrap's own
# apt configuration.
set -eu
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
export APT_CONFIG
installed=$(dpkg-query --admindir="$1/var/lib/dpkg" --show \
  --showformat='${db:Status-Abbrev} ${Package}=${Version}\n' | sed -n 's/^ii *//p')
# shellcheck disable=SC2086  # One argument for each package.
apt-cache show $installed | awk '
  /^Package: / { name = $2 }
  /^Version: / { version = $2 }
  /^SHA256: / { print name, version, $2 }' | LC_ALL=C sort -u >"$1/var/lib/qemubox-packages"
