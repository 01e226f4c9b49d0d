#!/bin/sh
# deno.sh ARGS...: the Deno that bootstrap.sh found or brought.
set -eu
here=$(dirname "$0")
root=$(cd "$here/.." && pwd)
cd "$root"
. tools/lib.sh
find_deno || fail "there is no Deno yet: run tools/bootstrap.sh"
exec "$deno" "$@"
