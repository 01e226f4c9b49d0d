#!/bin/sh
# qemu.sh [SOURCE] DESTINATION: QEMUs of other versions beside the system's own, for tests.
#
# A version is 7.2 (or `system`: the qemu-system-x86_64 on PATH, whatever it is), 10.0 (of Debian 13)
# or 11.1 (the newest of Debian sid, 11.1 or later). Packages come from where this machine gets its
# own Debian packages and are unpacked into .tools/qemu-VERSION/ with all of their libraries; nothing
# of it touches the system, no root needed. They run by their own loader and C library. Each
# directory also has qemu-img, qemu-nbd, qemu-io and qemu-storage-daemon. Sid is asked once a day
# whether it has a newer one. Prints, to be put before a command by `env`:
#   QEMU_DEST=.../qemu-system-x86_64                  tools/qemu.sh 10.0
#   QEMU=.../qemu-system-x86_64 QEMU_DEST=...         tools/qemu.sh 7.2 11.1
# and on standard error which versions these are.
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh
. tools/debian.sh
packages="qemu-system-x86 qemu-utils qemu-block-extra"

# unpack RELEASE DIRECTORY: after ask_debian.
unpack() {
  say "fetching QEMU $version of Debian $1"
  # shellcheck disable=SC2086 # a list
  unpack_packages $packages
  for name in qemu-system-x86_64 qemu-img qemu-nbd qemu-io qemu-storage-daemon; do
    [ -x "$new/root/usr/bin/$name" ] || fail "Debian $1 has no $name in $packages"
    cat >"$new/$name" <<'END_OF_WRAPPER'
#!/bin/sh
# A program of QEMU with the loader, libraries, modules and firmware that it was built with.
program=$(basename "$0")
root=$(dirname "$(readlink -f "$0")")/root
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
[ "$program" != qemu-system-x86_64 ] || set -- -L "$root/usr/share/qemu" \
  -L "$root/usr/share/seabios" -L "$root/usr/lib/ipxe/qemu" "$@"
exec "$root/lib64/ld-linux-x86-64.so.2" --argv0 "$0" \
  --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/$program" "$@"
END_OF_WRAPPER
    chmod 755 "$new/$name"
    "$new/$name" --version >"$new/log" 2>&1 || fail "$name does not run: $(cat "$new/log")"
    grep -qF " $version" "$new/log" ||
      fail "$name should be version $version: $(head -n 1 "$new/log")"
  done
  rm -f "$new/log"
  # Another one may have been as fast; its directory is as good.
  mv -T "$new" "$2" 2>/dev/null || [ -x "$2/qemu-system-x86_64" ] || fail "can't make $2"
  rm -rf "$new"
  trap - EXIT
}

# of_debian RELEASE: sets `program`, the newest that was fetched or is there now.
of_debian() {
  link=$tools/qemu-$1
  program=$link/qemu-system-x86_64
  # Trixie keeps its version; sid does not.
  if [ -x "$program" ] && { [ "$1" != sid ] || [ -n "$(find "$link" -prune -mmin -1440)" ]; }; then
    return 0
  fi
  ask_debian "$1" qemu-system-x86
  directory=$tools/qemu-$version
  if [ -x "$directory/qemu-system-x86_64" ]; then
    rm -rf "$new"
    trap - EXIT
  else
    unpack "$1" "$directory"
  fi
  # A link that is replaced by rename, so that nobody finds none; its age is when Debian was asked.
  ln -sfn "qemu-$version" "$link.$$"
  mv -T "$link.$$" "$link"
}

# at WORD: sets `program` to the QEMU that a word of the command line means.
at() {
  case $1 in
    7.2 | system)
      program=$(PATH=$PATH:/usr/sbin:/sbin command -v qemu-system-x86_64) ||
        fail "there is no qemu-system-x86_64 on PATH: run tools/bootstrap.sh"
      ;;
    10.0) of_debian trixie ;;
    11.1 | sid) of_debian sid ;;
    */*) program=$1 ;;
    *) fail "there is no '$1': 7.2 (or system), 10.0, 11.1 (or sid), or the path of a program" ;;
  esac
  found=$("$program" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
  case $1 in
    7.2 | 10.0)
      [ "${found%.*}" = "$1" ] || fail "asked for QEMU $1, $program is ${found:-no QEMU}"
      ;;
    11.1)
      [ "$(printf '%s\n' 11.1 "$found" | sort -V | head -n 1)" = 11.1 ] ||
        fail "asked for QEMU 11.1 or later, $program is ${found:-no QEMU}"
      ;;
  esac
  program=$(readlink -f "$(dirname "$program")")/$(basename "$program")
}

case $# in
  1)
    at "$1"
    say "QEMU ${found:-?} as the destination"
    echo "QEMU_DEST=$program"
    ;;
  2)
    at "$1"
    source=$program source_version=$found
    at "$2"
    say "QEMU ${source_version:-?} to ${found:-?}"
    echo "QEMU=$source QEMU_DEST=$program"
    ;;
  *) fail "usage: tools/qemu.sh [SOURCE] DESTINATION, each of 7.2, 10.0, 11.1" ;;
esac
