#!/bin/sh
# docstrings.sh [MODULE...]: every export of these mod.ts files has a docstring and types.
# Types that only appear in a signature need not be exported (private-type-ref).
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- src/*/mod.ts
found=$(NO_COLOR=1 tools/deno.sh doc --lint "$@" 2>&1 |
  awk '/^error\[/ { kind = $0 } / --> / { if (kind !~ /private-type-ref/) print $2 ": " kind }')
[ -z "$found" ] || { echo "$found" >&2; exit 1; }
