# An mmdebstrap hook ($1 is the root): leaves the newest linux-source of the suite in /source as
# linux-source.deb, its version in `version` and the SHA-256 that apt's signed index gives in
# `sha256`. Runs outside of the root, with mmdebstrap's own apt configuration.
set -eu
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
export APT_CONFIG
package=@PACKAGE@
if ! apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then
  # The suite has moved on: take what its metapackage depends on.
  package=$(apt-cache depends linux-source | sed -n 's/^ *Depends: \(linux-source-[0-9.]*\)$/\1/p')
fi
mkdir -p "$1/source"
cd "$1/source"
apt-cache show --no-all-versions "$package" >index
sed -n 's/^Package: //p' index >package
sed -n 's/^Version: //p' index >version
sed -n 's/^SHA256: //p' index >sha256
apt-get -o APT::Sandbox::User=root download "$package"
mv "$package"_*.deb linux-source.deb
echo "$(cat sha256)  linux-source.deb" | sha256sum --check --quiet
