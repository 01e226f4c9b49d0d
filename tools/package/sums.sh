#!/bin/sh
# sums.sh: dist/SHA256SUMS, of every file in dist that is for other hosts.
set -eu
cd "$(dirname "$0")/../../dist"
find . -maxdepth 1 -type f \( -name vmferry -o -name 'vmferry-*' -o -name 'vmferry_*.deb' \) |
  sed 's|^./||' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
