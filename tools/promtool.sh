#!/bin/sh
# promtool.sh: prints the path of promtool, the one on PATH or that of Debian's package prometheus.
#
# The package comes from where this machine gets its own, and only promtool of it is unpacked into
# .tools/promtool/; no server is installed.
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh
if command -v promtool; then exit 0; fi
dir=$PWD/.tools/promtool
if [ ! -x "$dir/promtool" ]; then
  command -v apt-get >/dev/null || fail "there is no promtool on PATH and no apt-get to get it with"
  mkdir -p .tools
  new=$(mktemp -d "$PWD/.tools/promtool.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  chmod 755 "$new"
  (cd "$new" && apt-get -q -o APT::Sandbox::User= download prometheus >log 2>&1) ||
    fail "apt-get failed: $(tail -n 3 "$new/log")"
  dpkg-deb --fsys-tarfile "$new"/prometheus_*.deb | tar -xf - -C "$new" ./usr/bin/promtool
  mv "$new/usr/bin/promtool" "$new/promtool"
  rm -rf "${new:?}/usr" "$new"/*.deb
  rm -rf "$dir"
  mv "$new" "$dir"
  trap - EXIT
fi
echo "$dir/promtool"
