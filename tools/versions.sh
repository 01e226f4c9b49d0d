#!/bin/sh
# versions.sh COMMIT [SCENARIO...]: scenarios between the vmferry that was built and that of COMMIT, the
# one as the source and the other as the destination, and the other way round. Default: main link_cuts.
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh
commit=$(git rev-parse --short "${1:?usage: tools/versions.sh COMMIT [SCENARIO...]}^{commit}")
shift
[ $# -gt 0 ] || set -- main link_cuts
old=$PWD/.tools/vmferry-$commit
new=$PWD/dist/vmferry
[ -x "$new" ] || fail "there is no $new: run make build"
find_deno || fail "there is no Deno yet: run tools/bootstrap.sh"
if [ ! -x "$old" ]; then
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
  git archive "$commit" | tar -x -C "$tree"
  (cd "$tree" && DENO=$deno tools/deno.sh run -A tools/build.ts) >&2
  mv "$tree/dist/vmferry" "$old"
fi
say "$commit to this one"
VMFERRY=$old VMFERRY_RECEIVE=$new tools/deno.sh task scenario "$@"
say "this one to $commit"
VMFERRY=$new VMFERRY_RECEIVE=$old tools/deno.sh task scenario "$@"
