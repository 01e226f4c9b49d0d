#!/bin/sh
# qemu10.sh: QEMU 10.0 beside the system's own, to cross from one version to another in tests.
#
# Takes Debian 13's qemu-system-x86 with all of its libraries, from where this machine gets its own
# Debian packages, and unpacks them into .tools/qemu10/; nothing of it touches the system, no root
# needed. It runs by its own loader and C library. Prints, to be put before a command by `env`:
#   QEMU_DEST=.../qemu-system-x86_64
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh
dir=$PWD/.tools/qemu10
program=$dir/qemu-system-x86_64

# An apt of its own: Debian 13 as the only source, and no package installed yet.
own_apt() {
  apt-get -q -o Dir="$apt" -o Dir::State::status="$apt/status" -o Dir::Etc::main=none \
    -o Dir::Etc::parts=none -o Dir::Etc::sourcelist="$apt/sources.list" \
    -o Dir::Etc::sourceparts=none -o Dir::Etc::trustedparts=none -o APT::Sandbox::User= \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Install-Recommends=false "$@"
}

unpack() {
  command -v apt-get >/dev/null || fail "there is no apt-get to get Debian's packages with"
  [ "$(dpkg --print-architecture)" = amd64 ] || fail "made for amd64 only"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    grep -v -e security -e ports | sort -u | head -n 1)
  [ -n "$mirror" ] || fail "apt knows no source of Debian packages"
  mkdir -p .tools
  new=$(mktemp -d .tools/qemu10.XXXXXX)
  new=$PWD/$new
  trap 'rm -rf "$new"' EXIT
  apt=$new/apt
  mkdir -p "$apt/var/lib/apt/lists/partial" "$apt/var/cache/apt/archives/partial" "$new/root"
  : >"$apt/status"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r "$keys" ] || fail "there is no $keys: install debian-archive-keyring"
  echo "deb [signed-by=$keys] $mirror trixie main" >"$apt/sources.list"
  say "fetching QEMU 10.0 of Debian 13"
  {
    own_apt update &&
      own_apt -y --download-only install qemu-system-x86
  } >"$new/log" 2>&1 </dev/null || fail "apt-get failed: $(tail -n 5 "$new/log")"
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
  cat >"$new/qemu-system-x86_64" <<'END'
#!/bin/sh
# QEMU with the loader, libraries, modules and firmware that it was built with.
root=$(dirname "$(readlink -f "$0")")/root
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
exec "$root/lib64/ld-linux-x86-64.so.2" --argv0 "$0" \
  --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/qemu-system-x86_64" \
  -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -L "$root/usr/lib/ipxe/qemu" "$@"
END
  chmod 755 "$new/qemu-system-x86_64"
  "$new/qemu-system-x86_64" --version >"$new/log" 2>&1 || fail "it does not run: $(cat "$new/log")"
  grep -q 'version 10\.' "$new/log" || fail "this is no QEMU 10: $(cat "$new/log")"
  rm -rf "$dir"
  mv "$new" "$dir"
  trap - EXIT
}

[ -x "$program" ] || unpack
echo "QEMU_DEST=$program"
