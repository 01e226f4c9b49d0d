#!/bin/sh
# guest.sh: a Debian guest in .tools/guest/, for `make scenario NAME=linux`.
#
# Debian's packages come from where this machine gets its own, of the release that it runs itself:
# a kernel, PostgreSQL with pgbench's tables and data checksums, fio, and the init of
# tests/guests/linux/image/. The scenario brings the loads. Needs root (mmdebstrap in a chroot),
# mmdebstrap and mkfs.ext4; mounts no image. Made again only if this script or the init changes.
#   kernel  initrd     for QEMU's -kernel and -initrd
#   root.raw           an ext4 without a partition table, for /dev/vda
#   data.raw           an empty ext4, for /dev/vdb
set -eu
cd "$(dirname "$0")/.."
. tools/lib.sh
dir=$PWD/.tools/guest
recipe=$(cat tools/guest.sh tests/guests/linux/image/* | sha256sum | cut -d ' ' -f 1)
packages=linux-image-cloud-amd64,initramfs-tools,postgresql,postgresql-contrib,fio,e2fsprogs,procps

[ "$(cat "$dir/recipe" 2>/dev/null)" != "$recipe" ] || { say "the guest is in .tools/guest/"; exit 0; }
[ "$(id -u)" = 0 ] || fail "needs root, for a chroot"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "made for amd64 only"
for program in mmdebstrap mkfs.ext4; do
  command -v $program >/dev/null || fail "there is no $program: apt-get install mmdebstrap e2fsprogs"
done
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
  grep -v -e security -e ports | sort -u | head -n 1)
[ -n "$mirror" ] || fail "apt knows no source of Debian packages"

mkdir -p .tools
new=$(mktemp -d "$PWD/.tools/guest.XXXXXX")
trap 'rm -rf "$new"' EXIT
say "building a Debian guest ($release), some minutes"
{
  # The hooks run on the host, with the chroot's directory as their argument.
  TMPDIR=$new mmdebstrap --mode=root --variant=minbase --include=$packages \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="copy-in $(echo tests/guests/linux/image/*) /usr/local/sbin" \
    --customize-hook='mkdir -p "$1/data"; echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"' \
    --customize-hook='chroot "$1" /usr/local/sbin/postgres-prepare' \
    "$release" "$new/root" "$mirror" &&
    cp "$new"/root/boot/vmlinuz-* "$new/kernel" &&
    cp "$new"/root/boot/initrd.img-* "$new/initrd" &&
    truncate -s 1500M "$new/root.raw" &&
    mkfs.ext4 -q -F -L root -d "$new/root" "$new/root.raw" &&
    truncate -s 128M "$new/data.raw" &&
    mkfs.ext4 -q -F -L data "$new/data.raw"
} >"$new/log" 2>&1 </dev/null || fail "the guest could not be built: $(tail -n 10 "$new/log")"
rm -rf "$new/root"
echo "$recipe" >"$new/recipe"
rm -rf "$dir"
mv "$new" "$dir"
trap - EXIT
say "the guest is in .tools/guest/"
