#!/bin/sh
# libvirt_precreated_images.sh: images that `virsh migrate` creates are allocated whole, and stay after a failure.
#
# Expected: --copy-storage-all into a storage pool of the destination creates missing images as thin as
#   the source's (a qcow2 of 200 KiB), and removes them when the migration is cancelled.
# Really: libvirt asks the pool for a volume with allocation = capacity: an empty qcow2 of 64 MiB takes
#   more than 64 MiB of the destination's disk before a byte has crossed. After 'virsh domjobabort'
#   both images stay, as root with mode 0600, and the next try finds them as existing images. A tool
#   that wants thin images, or nothing left, has to create and remove them by itself.
# Versions: libvirt-daemon-system 9.0.0-4+deb12u2, qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12).
# How seen: November 2026, TCG, two libvirtd in namespaces, a qcow2 and a raw disk, empty guest, the
#   destination has a pool of type dir; the copy is limited to 1 MiB/s and cancelled.
#
# Needs root (namespaces). Exit status: 0 the behaviour is as stated, 1 it has changed, 2 not tried.
# shellcheck disable=SC2317 # functions that others call by name
set -eu
work=$(mktemp -d)
pids=
cleanup() {
  status=$?
  trap - EXIT
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || :; done
  for host in a b; do
    while umount "$work/$host/root/dev" 2>/dev/null; do :; done
  done
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
cannot() {
  echo "NOT TRIED: $*"
  exit 2
}
[ "$(id -u)" = 0 ] || cannot "it needs root"
for tool in apt-get dpkg-deb python3 unshare nsenter; do
  command -v "$tool" >/dev/null || cannot "there is no $tool"
done
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
  grep -v -e security -e ports | sort -u | head -n 1)
[ -n "$mirror" ] || cannot "apt knows no source of Debian packages"
libvirt=9.0.0-4+deb12u2
qemu='1:7.2+dfsg-7+deb12u18+b3'

mkdir -p "$work/apt/var/lib/apt/lists/partial" "$work/apt/var/cache/apt/archives/partial" \
  "$work/apt/etc/apt/preferences.d" "$work/root"
: >"$work/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" \
  >"$work/apt/sources.list"
own() {
  apt-get -q -y -o Dir="$work/apt" -o Dir::State::status="$work/apt/status" -o Dir::Etc::main=none \
    -o Dir::Etc::parts=none -o Dir::Etc::sourcelist="$work/apt/sources.list" \
    -o Dir::Etc::sourceparts=none -o Dir::Etc::trustedparts=none -o APT::Sandbox::User= \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Install-Recommends=false "$@"
}
own update >"$work/log" 2>&1 || cannot "apt-get update: $(tail -n 3 "$work/log")"
own --download-only install "libvirt-daemon-system=$libvirt" "libvirt-clients=$libvirt" \
  "qemu-system-x86=$qemu" qemu-utils coreutils dash bash libc-bin mount util-linux >"$work/log" 2>&1 ||
  cannot "libvirt $libvirt of Debian 12: $(tail -n 3 "$work/log")"
for name in bin lib lib64 sbin; do
  mkdir -p "$work/root/usr/$name"
  ln -s "usr/$name" "$work/root/$name"
done
for package in "$work"/apt/var/cache/apt/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -xf - -C "$work/root" --no-same-owner --keep-directory-symlink
done
mkdir -p "$work/root/dev" "$work/root/proc" "$work/root/run" "$work/root/tmp" "$work/root/shared" "$work/root/etc"
printf 'root:x:0:0:root:/root:/bin/sh\nlibvirt-qemu:x:64055:64055::/:/bin/false\n' >"$work/root/etc/passwd"
printf 'root:x:0:\nkvm:x:106:\nlibvirt:x:107:\nlibvirt-qemu:x:64055:\n' >"$work/root/etc/group"
rm -rf "$work/root/var/run"
ln -s /run "$work/root/var/run"
mkdir "$work/shared"
chmod 755 "$work" "$work/shared"

# host NAME UUID: a libvirtd of its own, with the unpacked packages as its root.
host() {
  mkdir -p "$work/$1/root"
  cat >"$work/$1/init" <<END
set -e
mount --make-rprivate /
hostname host-$1
ip link set lo up 2>/dev/null || :
mount -t tmpfs none "$work/$1/root"
cp -a "$work/root/." "$work/$1/root/"
cd "$work/$1/root"
mkdir -p sys
mount --rbind /sys sys
mount --rbind /dev dev
mount -t proc proc proc
mount --bind "$work/shared" shared
cp "$work/$1/init2" init
cat >etc/libvirt/libvirtd.conf <<E
host_uuid = "$2"
auth_unix_rw = "none"
E
cat >etc/libvirt/qemu.conf <<E
user = "root"
group = "root"
stdio_handler = "file"
cgroup_controllers = [ ]
security_driver = "none"
namespaces = [ ]
E
mkdir -p var/lib/libvirt/images run/relay
mkdir old
pivot_root . old
exec /usr/bin/bash /init
END
  cat >"$work/$1/init2" <<'END'
cd /
mount --move /old/proc /proc 2>/dev/null || :
umount -l /old
# Not process 1: that one has to reap what QEMU's probes leave.
/usr/sbin/libvirtd >/log 2>&1 &
while :; do wait -n 2>/dev/null || sleep 0.2; done
END
  unshare --mount --net --uts --ipc --pid --fork --kill-child --mount-proc bash "$work/$1/init" &
  pids="$pids $!"
  eval "unshare_$1=$!"
}
# on NAME COMMAND...: in that host's root.
on() {
  name=$1
  shift
  eval "parent=\$unshare_$name"
  # shellcheck disable=SC2154 # set by eval
  init=$(cat "/proc/$parent/task/$parent/children")
  timeout 60 nsenter -t "${init%% *}" -a "$@"
}
wait_for() {
  what=$1
  shift
  tries=0
  until "$@" >"$work/last" 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || cannot "$what did not come: $(tail -n 3 "$work/last")"
    sleep 0.2
  done
}
host a 11111111-1111-4111-8111-111111111111
host b 22222222-2222-4222-8222-222222222222
wait_for "libvirtd of the source" on a virsh capabilities
wait_for "libvirtd of the destination" on b virsh capabilities

cat >"$work/shared/vm.xml" <<'END'
<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
<cpu mode='custom' match='exact'><model>qemu64</model></cpu>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/var/lib/libvirt/images/vm.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='/var/lib/libvirt/images/vm.raw'/><target dev='vdb' bus='virtio'/></disk>
</devices></domain>
END
images=/var/lib/libvirt/images
on a qemu-img create -q -f qcow2 $images/vm.qcow2 64M
on a sh -c "head -c 8M /dev/urandom >$images/vm.raw"
on b virsh -q pool-create-as images dir --target $images
on a virsh -q create /shared/vm.xml || cannot "the guest does not start"

cat >"$work/relay.py" <<'END'
"""relay.py LISTEN CONNECT: joins UNIX sockets."""
import os, socket, sys, threading

listen, connect = sys.argv[1:3]

def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for sock in (source, sink):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

server = socket.socket(socket.AF_UNIX)
server.bind(listen)
os.chmod(listen, 0o666)
server.listen(8)
while True:
    near = server.accept()[0]
    far = socket.socket(socket.AF_UNIX)
    far.connect(connect)
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
END
# relay HOST LISTEN CONNECT: paths as that host has them.
relay() {
  eval "parent=\$unshare_$1"
  init=$(cat "/proc/$parent/task/$parent/children")
  shift
  base=/proc/${init%% *}/root
  python3 "$work/relay.py" "$base$1" "$base$2" &
  pids="$pids $!"
}
relay b /shared/libvirt /run/libvirt/libvirt-sock
for name in ram nbd; do
  relay b "/shared/$name" "/run/relay/$name"
  relay a "/run/relay/$name" "/shared/$name"
  wait_for "the relay" [ -S "$work/shared/$name" ]
done
wait_for "the relay" [ -S "$work/shared/libvirt" ]
listed() { on b sh -c "cd $images && stat -c '%n %s bytes, %b blocks of 512 allocated, %U %a' -- * 2>/dev/null" || :; }
on a virsh migrate --live --copy-storage-all --bandwidth 1 vm 'qemu+unix:///system?socket=/shared/libvirt' \
  --migrateuri unix:///run/relay/ram --disks-uri unix:///run/relay/nbd >"$work/virsh" 2>&1 &
migrating=$!
copies() { on a virsh domjobinfo vm --rawstats | grep -q '^disk_processed: [1-9]'; }
wait_for "the copy" copies
echo "while it copies:"
listed
on a virsh -q domjobabort vm
code=0
wait "$migrating" || code=$?
echo "virsh: exit $code: $(cat "$work/virsh")"
gone() { [ "$(on b virsh -q list --all)" = "" ]; }
wait_for "the end of the domain at the destination" gone
echo "after the migration was cancelled:"
left=$(listed)
echo "$left"
blocks=$(echo "$left" | sed -n 's/^vm.qcow2 .* \([0-9]*\) blocks.*/\1/p')
if [ "$code" = 1 ] && [ "$(echo "$left" | wc -l)" = 2 ] && [ "${blocks:-0}" -gt 131072 ]; then
  echo "AS STATED"
  exit 0
fi
echo "CHANGED: the images are thin, or they were removed"
exit 1

# Seen on 2026-11-28:
#   while it copies:
#   vm.qcow2 67436544 bytes, 131592 blocks of 512 allocated, root 600
#   vm.raw 8388608 bytes, 16384 blocks of 512 allocated, root 600
#   virsh: exit 1: error: operation aborted: migration out: canceled by client
#   after the migration was cancelled:
#   vm.qcow2 67436544 bytes, 131592 blocks of 512 allocated, root 600
#   vm.raw 8388608 bytes, 16384 blocks of 512 allocated, root 600
#   AS STATED
