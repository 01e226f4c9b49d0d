#!/bin/sh
# bootstrap.sh: bring what building and testing need, and nothing that is there already.
#
# Deno: $DENO, else a new enough `deno` on PATH, else version $pinned from npm into .tools/.
# Debian packages: by apt where that is allowed, else a message that names them, and exit 1. Arguments
# such as dh:debhelper name more of them, with a program or a file that shows that one is there.
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh

# Downloads the modules that the code imports; the stamp says for which lock file that was done.
cache_modules() {
  stamp=.tools/cached-$(cat deno.lock deno.json tools/std/*.ts tools/uplot.ts tools/xml.ts | cksum | tr ' ' -)
  [ -e "$stamp" ] && return
  say "fetching modules"
  "$deno" cache --quiet tools/std/*.ts tools/uplot.ts tools/xml.ts
  mkdir -p .tools
  rm -f .tools/cached-*
  : >"$stamp"
}

install_packages() {
  missing=
  need() { command -v "$1" >/dev/null || missing="$missing $2"; }
  PATH=$PATH:/usr/sbin:/sbin
  need qemu-system-x86_64 qemu-system-x86
  need qemu-img qemu-utils
  need nbdkit nbdkit
  need nbdcopy libnbd-bin
  need nbd-server nbd-server
  need nbd-client nbd-client
  need socat socat
  need ssh openssh-client
  need sshd openssh-server
  need ip iproute2
  need nft nftables
  need ps procps
  need faketime faketime
  need openssl openssl
  need codespell codespell
  need shellcheck shellcheck
  # Scenarios start a libvirtd of their own in namespaces; no service has to run.
  need libvirtd libvirt-daemon-system
  need virsh libvirt-clients
  need setfacl acl
  need mandoc mandoc
  need zsh zsh
  need fish fish
  need systemd-analyze systemd
  need dh debhelper
  [ -e /usr/share/OVMF/OVMF_CODE.fd ] || missing="$missing ovmf"
  for more; do
    case $more in
      /*) [ -e "${more%%:*}" ] || missing="$missing ${more#*:}" ;;
      *) need "${more%%:*}" "${more#*:}" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if [ -e .tools/kit ]; then
    say "this kit installs nothing; some tests need these Debian packages:$missing"
    return 0
  fi
  if [ "$(id -u)" = 0 ]; then
    root=
  elif sudo -n true 2>/dev/null; then
    root="sudo -n"
  else
    fail "these Debian packages are needed:$missing
Install them as root: apt-get install$missing"
  fi
  command -v apt-get >/dev/null || fail "there is no apt-get to install what Debian calls$missing"
  say "installing$missing"
  # shellcheck disable=SC2086 # both are lists
  (
    export DEBIAN_FRONTEND=noninteractive
    $root apt-get update -q &&
      $root apt-get install -q -y --no-install-recommends $missing
  ) >.tools/apt.log 2>&1 </dev/null || fail "apt-get failed: $(tail -n 5 .tools/apt.log)"
}

mkdir -p .tools
find_deno || { fetch_deno "$(uname -s)-$(uname -m)" "$own_deno" && find_deno; } || fail "$own_deno does not run"
cache_modules
install_packages "$@"
