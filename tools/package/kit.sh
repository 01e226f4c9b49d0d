#!/bin/sh
# kit.sh: dist/vmferry-kit-VERSION.tar.gz, the committed sources with everything that comes from npm: Deno
# and its bundler for amd64 and arm64, and the modules. On a host with no network `make build check` and the
# tiers pure and net of the tests run from it.
set -eu
cd "$(dirname "$0")/../.."
. tools/lib.sh
[ -e .git ] || fail "a kit is made from a clone: there is no .git here"
[ -z "$(git status --porcelain)" ] || say "changes that are not committed are left out"
version=$(sed -n 's/.*VERSION = "\(.*\)".*/\1/p' src/cli/version.ts)
name=vmferry-kit-$version
mkdir -p dist
work=$(mktemp -d dist/kit.XXXXXX)
trap 'rm -rf "$work"' EXIT
tree=$PWD/$work/$name
mkdir -p "$tree/.tools"
git archive HEAD | tar -xf - -C "$tree"

for machine in x86_64 aarch64; do
  deno=$PWD/.tools/deno-$pinned-$machine/deno
  [ "$machine" != "$(uname -m)" ] || [ ! -x "$own_deno" ] || deno=$own_deno
  # In a shell of its own: fetch_deno sets a trap.
  [ -x "$deno" ] || (fetch_deno "Linux-$machine" "$deno")
  mkdir "$tree/.tools/deno-$pinned-$machine"
  cp "$deno" "$tree/.tools/deno-$pinned-$machine/deno"
done

# A build in the tree fetches the rest into its own cache.
: >"$tree/.tools/kit"
say "fetching modules into the kit"
(cd "$tree" && unset DENO && PATH=/usr/bin:/bin && tools/bootstrap.sh 2>/dev/null &&
  VMFERRY_BUILD=packed tools/deno.sh run -A tools/build.ts >/dev/null)
rm -rf "$tree/dist"
cache=$tree/.tools/deno_dir
find "$cache" -mindepth 1 -maxdepth 1 -not -name npm -not -name dl -exec rm -rf {} +
# The bundler is a program, too.
for esbuild in "$cache"/dl/esbuild-*; do
  for kind in x64 arm64; do
    [ ! -e "$esbuild/esbuild-linux-$kind" ] || continue
    # Deno's name of the directory may have a number of its own behind the version.
    release=${esbuild##*/esbuild-}
    package=@esbuild/linux-$kind@${release%%-*}
    (cd "$work" && npm pack --loglevel=error "$package" >npm.log 2>&1) ||
      fail "npm pack $package: $(tail -n 3 "$work/npm.log")"
    tar -xzf "$work"/*.tgz -C "$work"
    mv "$work/package/bin/esbuild" "$esbuild/esbuild-linux-$kind"
    rm -rf "$work"/*.tgz "$work/package"
  done
done

(cd "$tree" && find . -type f -not -path ./.tools/SHA256SUMS | LC_ALL=C sort | xargs sha256sum) >"$work/sums"
mv "$work/sums" "$tree/.tools/SHA256SUMS"
tar --sort=name --mtime="@$(git log -1 --format=%ct)" --owner=0 --group=0 --numeric-owner \
  -C "$work" -cf - "$name" | gzip -n -3 >"dist/$name.tar.gz.new"
mv "dist/$name.tar.gz.new" "dist/$name.tar.gz"
tools/package/sums.sh
say "dist/$name.tar.gz: $(du -m "dist/$name.tar.gz" | cut -f 1) MiB"
