#!/bin/sh
# libvirt_lost_finish.sh: a lost answer at the end of `virsh migrate` leaves the guest running on both hosts.
#
# Expected: when the client that drives a migration (virsh, no --p2p) loses its connection to the
#   destination after the guest was sent, it leaves the source's guest paused until somebody has looked
#   where the guest runs, as a tool with two hosts to ask would.
# Really: virsh takes "no answer to Finish" for "not started" and has the source resume the guest
#   (Confirm with cancelled=1). The destination had carried Finish out: the guest runs on both hosts,
#   each on its own copy of the disks. virsh exits 1 with "End of file while reading data". A tool that
#   carries virsh's connection over a link that may break must end virsh, or keep its next message from
#   the source's libvirtd, before virsh sees the end of that connection; libvirtd then leaves the
#   source's guest "paused (migrating)" without a job.
# Versions: libvirt-daemon-system 9.0.0-4+deb12u2, qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12).
# How seen: November 2026, TCG, two libvirtd in namespaces, one raw disk of 8 MiB, empty guest. A relay
#   drops the reply to one call (DOMAIN_MIGRATE_FINISH3_PARAMS, procedure 306) and closes the connection.
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
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='/var/lib/libvirt/images/vm.raw'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>
END
for host in a b; do on "$host" truncate -s 8M /var/lib/libvirt/images/vm.raw; done
on a virsh -q create /shared/vm.xml || cannot "the guest does not start"

cat >"$work/relay.py" <<'END'
"""relay.py LISTEN CONNECT [PROCEDURE]: joins UNIX sockets; drops the reply to one libvirt call."""
import os, socket, struct, sys, threading

listen, connect = sys.argv[1:3]
dropped = int(sys.argv[3]) if len(sys.argv) > 3 else None

def exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data

def pump(source, sink, is_reply):
    try:
        while True:
            if dropped is None:
                data = source.recv(65536)
                if not data:
                    raise EOFError
            else:
                head = exactly(source, 4)
                data = head + exactly(source, struct.unpack(">I", head)[0] - 4)
                program, _, procedure, kind = struct.unpack(">IIii", data[4:20])
                if is_reply and kind == 1 and program == 0x20008086 and procedure == dropped:
                    print("the reply to procedure", procedure, "is dropped", flush=True)
                    raise EOFError
            sink.sendall(data)
    except (EOFError, OSError):
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
    for pair in ((near, far, False), (far, near, True)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
END
# relay HOST LISTEN CONNECT [PROCEDURE]: paths as that host has them.
relay() {
  eval "parent=\$unshare_$1"
  init=$(cat "/proc/$parent/task/$parent/children")
  shift
  base=/proc/${init%% *}/root
  python3 "$work/relay.py" "$base$1" "$base$2" ${3:+"$3"} &
  pids="$pids $!"
}
relay b /shared/libvirt /run/libvirt/libvirt-sock 306
for name in ram nbd; do
  relay b "/shared/$name" "/run/relay/$name"
  relay a "/run/relay/$name" "/shared/$name"
  wait_for "the relay" [ -S "$work/shared/$name" ]
done
wait_for "the relay" [ -S "$work/shared/libvirt" ]
code=0
on a virsh migrate --live --copy-storage-all vm 'qemu+unix:///system?socket=/shared/libvirt' \
  --migrateuri unix:///run/relay/ram --disks-uri unix:///run/relay/nbd || code=$?
echo "virsh: exit $code"
here=$(on a virsh domstate vm --reason | head -n 1)
there=$(on b virsh domstate vm --reason | head -n 1)
echo "source: $here; destination: $there"
if [ "$code" = 1 ] && [ "${here%% *}" = running ] && [ "${there%% *}" = running ]; then
  echo "AS STATED"
  exit 0
fi
echo "CHANGED: the guest does not run on both hosts"
exit 1

# Seen on 2026-11-28:
#   the reply to procedure 306 is dropped
#   error: End of file while reading data: Input/output error
#   virsh: exit 1
#   source: running (migration canceled); destination: running (migrated)
#   AS STATED
