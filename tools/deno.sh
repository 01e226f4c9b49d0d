#!/bin/sh
# deno.sh ARGS...: the Deno that bootstrap.sh found or brought.
set -eu
here=$(dirname "$0")
root=$(cd "$here/.." && pwd)
deno=$(cd "$root" && . tools/lib.sh && find_deno && echo "$deno") || {
  echo "deno.sh: there is no Deno yet: run tools/bootstrap.sh" >&2
  exit 1
}
exec "$deno" "$@"
