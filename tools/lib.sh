# shellcheck shell=sh
# Sourced by the scripts beside it: messages, and which Deno to use. The working directory is the
# project's.

# shellcheck disable=SC2034 # used where this is sourced
pinned=2.9.6
oldest=2.6.8
# Sites with a certificate authority of their own have it in the system's store.
export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}"
own_deno=$PWD/.tools/deno-$pinned/deno
# An air-gapped kit (tools/package/kit.sh) brings Deno for every architecture, and the modules.
kit_deno=$PWD/.tools/deno-$pinned-$(uname -m)/deno
if [ -e .tools/kit ]; then
  DENO_DIR=$PWD/.tools/deno_dir
  export DENO_DIR
fi

say() { echo "$(basename "$0"): $*" >&2; }
fail() {
  say "$*"
  exit 1
}

# Sets `deno` to the Deno to use; fails when there is none.
find_deno() {
  if [ -n "${DENO:-}" ]; then
    deno=$(command -v "$DENO") || fail "DENO=$DENO is no program"
    new_enough "$deno" || fail "DENO=$DENO is older than $oldest"
  elif deno=$(command -v deno) && new_enough "$deno"; then
    :
  elif deno=$own_deno && new_enough "$deno"; then
    :
  elif deno=$kit_deno && new_enough "$deno"; then
    :
  else
    return 1
  fi
}

new_enough() {
  version=$("$1" --version 2>/dev/null | sed -n '1s/^deno \([0-9.]*\).*/\1/p')
  [ -n "$version" ] &&
    [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}

# fetch_deno KERNEL-MACHINE FILE: version $pinned of Deno from npm.
fetch_deno() {
  case $1 in
    Linux-x86_64) npm_package=@deno/linux-x64-glibc ;;
    Linux-aarch64) npm_package=@deno/linux-arm64-glibc ;;
    *) fail "no Deno is known for $1: set DENO= to one of at least $oldest" ;;
  esac
  command -v npm >/dev/null || fail "Deno $oldest or newer is needed: set DENO=, or install npm"
  say "fetching Deno $pinned for $1"
  mkdir -p .tools
  tmp=$(mktemp -d .tools/fetch.XXXXXX)
  trap 'rm -rf "$tmp"' EXIT
  # npm refuses a package whose bytes are not those its registry lists.
  (cd "$tmp" && npm pack --loglevel=error "$npm_package@$pinned" >npm.log 2>&1) ||
    fail "npm pack $npm_package@$pinned: $(tail -n 3 "$tmp/npm.log")"
  tar -xzf "$tmp"/*.tgz -C "$tmp"
  chmod 755 "$tmp/package/deno"
  mkdir -p "$(dirname "$2")"
  mv "$tmp/package/deno" "$2"
}
