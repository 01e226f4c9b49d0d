#!/bin/sh
# vmferry, packed: this script, and behind it a compressed archive with Deno and the program.
# It unpacks itself once into a directory of the user's cache that is named after its content.
umask 077
fail() {
  echo "vmferry: $*" >&2
  exit 1
}
# Succeeds if the directory is ours and nobody else can write to it; creates it if need be.
private() {
  mkdir -p "$1" 2>/dev/null
  [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ -w "$1" ] || return 1
  case $(ls -ld "$1") in
    d????-??-*) return 0 ;;
  esac
  return 1
}
# A copy that a source has sent here unpacks beside itself.
base=${VMFERRY_UNPACK:-}
unset VMFERRY_UNPACK
[ -n "$base" ] && private "$base" || {
  # Never create a missing home directory (of a system user, of a service that runs as root).
  cache=${XDG_CACHE_HOME:-}
  [ -n "$cache" ] || [ ! -d "${HOME:-}" ] || cache=$HOME/.cache
  base=$cache/vmferry
  [ -n "$cache" ] && private "$base" || {
    cache=${TMPDIR:-/tmp}/vmferry-$(id -u)
    base=$cache/vmferry
    private "$cache" && private "$base" ||
      fail "no private directory to unpack into: set XDG_CACHE_HOME to a directory of your own"
  }
}
dir=$base/@ID@
if [ ! -x "$dir/deno" ]; then
  new=$(mktemp -d "$base/new.XXXXXX") || fail "can't write to $base"
  trap 'rm -rf "$new"' EXIT
  tail -n +@LINE@ "$0" | gzip -dc | tar -xf - -C "$new" && [ -s "$new/vmferry.js" ] ||
    fail "could not unpack into $new: is the disk full, or this file cut short?"
  # If another process was first, mv moves the new directory into its directory.
  mv "$new" "$dir" 2>/dev/null
  rm -rf "${dir:?}/${new##*/}" "$new"
  trap - EXIT
fi
private "$dir" || fail "$dir can be written to by others: remove it"
# The caller's settings for another Deno must not change this one.
for name in $(env | sed -n 's/^\(DENO_[A-Za-z0-9_]*\)=.*/\1/p') NODE_OPTIONS; do
  unset "$name"
done
# The program sends this file to a host that does not have it.
case $0 in
/*) VMFERRY_FILE=$0 ;;
*) VMFERRY_FILE=$PWD/$0 ;;
esac
export VMFERRY_FILE
export DENO_DIR="$dir/state" DENO_NO_UPDATE_CHECK=1
[ -x "$dir/deno" ] || fail "$dir/deno can't be executed: is $base mounted noexec?"
exec "$dir/deno" run --quiet --no-config --no-lock --no-remote --no-npm @FLAGS@ \
  "$dir/vmferry.js" "$@"
exit 1
