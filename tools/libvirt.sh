#!/bin/sh
# libvirt.sh: libvirt and QEMU of Debian 13 as the root of a test host, beside the system's own.
#
# Unpacked into .tools/libvirt-VERSION/root with everything that a host needs, by qemu.sh's means: no
# maintainers' script runs, nothing touches the system, no root needed. A host of
# tests/scenarios/libvirt/ makes it its root directory and takes users and groups from the machine.
# Prints, to be put before a command by `env`:
#   LIBVIRT_DEST=.../root                             tools/libvirt.sh
# and on standard error which version that is.
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh
. tools/debian.sh
release=trixie
# Essential packages are nobody's dependency, so they are named.
packages="libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils qemu-block-extra
  base-files bash coreutils dash findutils grep gzip hostname iproute2 login.defs mount ncurses-base
  nftables openssh-client openssh-server passwd procps sed socat tar util-linux"

unpack() {
  say "fetching libvirt $version of Debian $release"
  # shellcheck disable=SC2086 # a list
  unpack_packages $packages
  root=$new/root
  # What the scripts of the packages would make, and where a host mounts what is the machine's.
  [ -e "$root/usr/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
  rmdir "$root/var/run" "$root/var/lock"
  ln -s /run "$root/var/run"
  ln -s /run/lock "$root/var/lock"
  mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/root" "$root/etc/libvirt"
  for state in lib cache log; do mkdir -p "$root/var/$state/libvirt"; done
  for file in passwd group hosts; do : >"$root/etc/$file"; done
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files' >"$root/etc/nsswitch.conf"
  [ -x "$root/usr/sbin/libvirtd" ] || fail "Debian $release has no libvirtd in $packages"
  "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
    "$root/usr/sbin/libvirtd" --version >"$new/log" 2>&1 ||
    fail "libvirtd does not run: $(cat "$new/log")"
  grep -qF " $version" "$new/log" || fail "libvirtd should be $version: $(cat "$new/log")"
  rm -f "$new/log"
  # Another one may have been as fast; its directory is as good.
  mv -T "$new" "$directory" 2>/dev/null || [ -x "$directory/root/usr/sbin/libvirtd" ] ||
    fail "can't make $directory"
  rm -rf "$new"
  trap - EXIT
}

[ $# = 0 ] || fail "usage: tools/libvirt.sh"
link=$tools/libvirt-$release
if [ ! -x "$link/root/usr/sbin/libvirtd" ]; then
  ask_debian "$release" libvirt-daemon
  directory=$tools/libvirt-$version
  unpack
  ln -sfn "libvirt-$version" "$link.$$"
  mv -T "$link.$$" "$link"
fi
directory=$(readlink -f "$link")
say "libvirt ${directory##*-} as the destination"
echo "LIBVIRT_DEST=$directory/root"
