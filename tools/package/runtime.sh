#!/bin/sh
# runtime.sh amd64|arm64: prints the path of the Deno to pack for this architecture, and fetches it first
# where it is not there. This machine's own is the one that bootstrap.sh found.
set -eu
cd "$(dirname "$0")/../.."
. tools/lib.sh
case ${1:-} in
amd64) machine=x86_64 ;;
arm64) machine=aarch64 ;;
*) fail "usage: runtime.sh amd64|arm64" ;;
esac
if [ "$(uname -m)" = "$machine" ]; then
  find_deno || fail "there is no Deno yet: run tools/bootstrap.sh"
else
  deno=$PWD/.tools/deno-$pinned-$machine/deno
  [ -x "$deno" ] || fetch_deno "Linux-$machine" "$deno"
fi
echo "$deno"
