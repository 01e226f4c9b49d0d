#!/bin/sh
# deb.sh ARCH...: Debian packages in dist from what was built, for amd64, arm64 or both, and dist/SHA256SUMS.
# Needs debhelper, and no network.
#
# DEBFULLNAME and DEBEMAIL name the maintainer: who builds a package for others answers for it.
set -eu
cd "$(dirname "$0")/../.."
. tools/lib.sh
[ $# -gt 0 ] || fail "usage: deb.sh ARCH..."
version=$(sed -n 's/.*VERSION = "\(.*\)".*/\1/p' src/cli/version.ts)
maintainer="${DEBFULLNAME:-The vmferry authors} <${DEBEMAIL:-maintainer@vmferry.invalid}>"
PROJECT=$PWD
export PROJECT

# The changelog of the package: that of CHANGELOG.md is beside it.
changelog() {
  date=$(sed -n "s/^## $version - //p" CHANGELOG.md)
  [ -n "$date" ] || fail "CHANGELOG.md has no date of version $version"
  printf 'vmferry (%s-1) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(LC_ALL=C date -uR -d "$date")"
}

# The file that was built for an architecture.
program() {
  if [ "$1" = "$(dpkg --print-architecture)" ]; then echo dist/vmferry; else echo "dist/vmferry-$1"; fi
}

# The text of the license, as the format of debian/copyright has it.
license() { sed -e '1,/^Copyright/d' LICENSE | sed -e '/./,$!d' -e 's/^$/./' -e 's/^/ /'; }

for arch; do
  PROGRAM=$(program "$arch")
  export PROGRAM
  work=dist/deb-$arch
  rm -rf "$work" dist/vmferry_*_"$arch.deb"
  mkdir -p "$work"
  cp -r packaging/debian "$work/debian"
  changelog >"$work/debian/changelog"
  sed -i "s|@MAINTAINER@|$maintainer|" "$work/debian/control"
  license >"$work/license"
  sed -i -e "s|@COPYRIGHT@|$(sed -n 's/^Copyright (c) //p' LICENSE)|" \
    -e "/@LICENSE@/{r $work/license
d}" "$work/debian/copyright"
  rm "$work/license"
  # Nothing is compiled, so that a compiler for the architecture is not missed.
  (cd "$work" && dpkg-architecture -a "$arch" -f -c debian/rules binary) >"$work.log" 2>&1 ||
    fail "$work.log: $(tail -n 5 "$work.log")"
  rm -rf "$work" "$work.log"
  say "dist/vmferry_${version}-1_$arch.deb"
done
tools/package/sums.sh
