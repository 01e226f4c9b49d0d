# shellcheck shell=sh
# Sourced by the scripts beside it: messages, and which Deno to use. The working directory is the
# project's.

# shellcheck disable=SC2034 # used where this is sourced
pinned=2.9.6
oldest=2.6.8
# Sites with a certificate authority of their own have it in the system's store.
export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}"
own_deno=$PWD/.tools/deno-$pinned/deno

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
  else
    return 1
  fi
}

new_enough() {
  version=$("$1" --version 2>/dev/null | sed -n '1s/^deno \([0-9.]*\).*/\1/p')
  [ -n "$version" ] &&
    [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}
