# shellcheck shell=sh
# shellcheck disable=SC2154 # `fail` and others are of lib.sh
# Sourced by qemu.sh and libvirt.sh after lib.sh: packages of another release of Debian, unpacked into
# a directory beside the system, with their dependencies and without their maintainers' scripts.
tools=$PWD/.tools

# An apt of its own in $apt: one release of Debian as the only source, and no package installed yet.
own_apt() {
  "$@" -q -o Dir="$apt" -o Dir::State::status="$apt/status" -o Dir::Etc::main=none \
    -o Dir::Etc::parts=none -o Dir::Etc::sourcelist="$apt/sources.list" \
    -o Dir::Etc::sourceparts=none -o Dir::Etc::trustedparts=none -o APT::Sandbox::User= \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Install-Recommends=false
}

# ask_debian RELEASE PACKAGE: sets `new`, a directory of its own, and `version`, the upstream version of
# the package in that release.
ask_debian() {
  command -v apt-get >/dev/null || fail "there is no apt-get to get Debian's packages with"
  [ "$(dpkg --print-architecture)" = amd64 ] || fail "made for amd64 only"
  package=$2
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    grep -v -e security -e ports | sort -u | head -n 1)
  [ -n "$mirror" ] || fail "apt knows no source of Debian packages"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r "$keys" ] || fail "there is no $keys: install debian-archive-keyring"
  mkdir -p "$tools"
  new=$(mktemp -d "$tools/fetch-debian.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  apt=$new/apt
  mkdir -p "$apt/var/lib/apt/lists/partial" "$apt/var/cache/apt/archives/partial" \
    "$apt/etc/apt/preferences.d" "$new/root"
  chmod 755 "$new"
  : >"$apt/status"
  echo "deb [signed-by=$keys] $mirror $1 main" >"$apt/sources.list"
  own_apt apt-get update >"$new/log" 2>&1 </dev/null ||
    fail "apt-get update of Debian $1 failed: $(tail -n 5 "$new/log")"
  version=$(own_apt apt-cache show "$package" --no-all-versions |
    sed -n 's/^Version: \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p')
  [ -n "$version" ] || fail "Debian $1 has no $package"
}

# unpack_packages PACKAGE...: after ask_debian; into $new/root.
unpack_packages() {
  own_apt apt-get -y --download-only install "$@" >"$new/log" 2>&1 </dev/null ||
    fail "apt-get failed: $(tail -n 5 "$new/log")"
  # Merged /usr, as on an installed system.
  for name in bin lib lib64 sbin; do
    mkdir -p "$new/root/usr/$name"
    ln -s "usr/$name" "$new/root/$name"
  done
  for package in "$apt"/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
      tar -xf - -C "$new/root" --no-same-owner --keep-directory-symlink \
        --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'
  done
  rm -rf "$apt"
}
