#!/bin/sh
# kit_check.sh: unpacks the kit of this version and builds, checks and tests there, with no network, no
# home and no environment of this user's. Takes root, or sudo that asks for no password. TIERS names other
# tiers of the tests than pure and net.
set -eu
cd "$(dirname "$0")/../.."
. tools/lib.sh
version=$(sed -n 's/.*VERSION = "\(.*\)".*/\1/p' src/cli/version.ts)
kit=$PWD/dist/vmferry-kit-$version.tar.gz
[ -e "$kit" ] || fail "there is no $kit: run 'make kit'"
root=
[ "$(id -u)" = 0 ] || root="sudo -n"
work=$(mktemp -d)
trap '$root rm -rf "$work"' EXIT
tar -xzf "$kit" -C "$work"
mkdir "$work/home"
cd "$work/vmferry-kit-$version"
sha256sum --check --quiet .tools/SHA256SUMS
# shellcheck disable=SC2016 # for the inner shell
$root unshare --net env -i PATH="/usr/sbin:/usr/bin:/sbin:/bin" HOME="$work/home" TERM=dumb \
  TIERS="${TIERS:-pure,net}" sh -euc '
  ip link set lo up
  make build check
  make test TIERS="$TIERS"
'
say "the kit builds and passes its tests with no network"
