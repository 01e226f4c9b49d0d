#!/bin/sh
# mirror_zeroes_round_trips.sh: an empty disk is mirrored in zeroes of 16 MiB, 16 at a time.
#
# Expected: a disk without data costs a mirror nothing, or one NBD_CMD_WRITE_ZEROES for each 4 GiB, the
#   longest that NBD can express.
# Really: the mirror zeroes the whole target before it copies. It does so in pieces of buf-size and never
#   more than 32 MiB, the longest payload, although zeroes have none; 16 of them are under way. With the
#   default buf-size a TiB takes 65,536 requests: 82 s over a connection with a round trip of 20 ms,
#   before the first byte of data, whatever the bandwidth. buf-size of 32 MiB and more halves that, more
#   changes nothing. QEMU 11.1 sends no zeroes if NBD_CMD_BLOCK_STATUS says that the target has none but
#   zeroes; if the server cannot say so, it zeroes as the older ones do. A migration tool raises buf-size
#   on long connections, or answers the zeroes on the source's side.
# Versions: qemu-system-common and qemu-utils 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13);
#   qemu-storage-daemon 11.1.3 by hand. nbdkit 1.32.5 as the target.
# How seen: November 2026, qemu-storage-daemon, a sparse raw file, nbdkit's null plugin that answers
#   zeroes after 20 ms and logs every request. No guest, no accelerator.
#
# Exit status: 0 the behaviour is as stated, 1 it has changed, 2 it could not be tried.
set -eu
work=$(mktemp -d)
pids=
clean_up() {
  for pid in $pids; do kill "$pid" 2>/dev/null || :; done
  rm -rf "$work"
}
trap clean_up EXIT
cannot() {
  echo "NOT TRIED: $*"
  exit 2
}
for tool in apt-get dpkg-deb python3 nbdkit; do
  command -v "$tool" >/dev/null || cannot "there is no $tool"
done
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
  grep -v -e security -e ports | sort -u | head -n 1)
[ -n "$mirror" ] || cannot "apt knows no source of Debian packages"

# unpack RELEASE VERSION: that qemu-storage-daemon, wherever the release has it, with its libraries in $work/RELEASE/root.
unpack() {
  dir=$work/$1
  mkdir -p "$dir/apt/var/lib/apt/lists/partial" "$dir/apt/var/cache/apt/archives/partial" \
    "$dir/apt/etc/apt/preferences.d" "$dir/root"
  : >"$dir/apt/status"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$keys] $mirror $1 main" >"$dir/apt/sources.list"
  own() {
    apt-get -q -y -o Dir="$dir/apt" -o Dir::State::status="$dir/apt/status" -o Dir::Etc::main=none \
      -o Dir::Etc::parts=none -o Dir::Etc::sourcelist="$dir/apt/sources.list" \
      -o Dir::Etc::sourceparts=none -o Dir::Etc::trustedparts=none -o APT::Sandbox::User= \
      -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Install-Recommends=false "$@"
  }
  own update >"$dir/log" 2>&1 || cannot "apt-get update of Debian $1: $(tail -n 3 "$dir/log")"
  own --download-only install "qemu-system-common=$2" "qemu-utils=$2" >"$dir/log" 2>&1 ||
    cannot "qemu-utils=$2 of Debian $1: $(tail -n 3 "$dir/log")"
  for name in bin lib lib64 sbin; do
    mkdir -p "$dir/root/usr/$name"
    ln -s "usr/$name" "$dir/root/$name"
  done
  for package in "$dir"/apt/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -xf - -C "$dir/root" --no-same-owner --keep-directory-symlink
  done
}

unpack bookworm '1:7.2+dfsg-7+deb12u18+b3'
unpack trixie '1:10.0.13+ds-0+deb13u1'
truncate -s 16G "$work/disk.raw"
for delay in 1 20; do
  nbdkit -f -U "$work/$delay.sock" --filter=log --filter=delay null size=16G \
    "logfile=$work/$delay.log" "delay-zero=${delay}ms" &
  pids="$pids $!"
done
python3 - "$work" <<'END' &
import collections, json, os, re, socket, subprocess, sys, time

work = sys.argv[1]
MIB = 1 << 20
faults = []

def wait(path):
    for _ in range(100):
        if os.path.exists(path):
            return
        time.sleep(0.1)
    print("NOT TRIED: there is no %s" % path)
    sys.exit(2)

def mirror(release, delay, buf):
    """seconds until the mirror is ready, and how often each length was zeroed"""
    root = "%s/%s/root" % (work, release)
    qmp = "%s/qmp" % work
    target, log = "%s/%d.sock" % (work, delay), "%s/%d.log" % (work, delay)
    wait(target)
    before = os.path.getsize(log)
    process = subprocess.Popen(
        [root + "/lib64/ld-linux-x86-64.so.2", "--library-path", root + "/usr/lib/x86_64-linux-gnu",
         root + "/usr/bin/qemu-storage-daemon", "--chardev", "socket,id=q,server=on,wait=off,path=" + qmp,
         "--monitor", "q", "--blockdev", "driver=file,node-name=file,filename=%s/disk.raw" % work,
         "--blockdev", "driver=raw,node-name=disk,file=file"])
    try:
        wait(qmp)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(qmp)
        lines = sock.makefile("rw")
        lines.readline()
        def ask(command, **arguments):
            lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            lines.flush()
            while True:
                message = json.loads(lines.readline())
                if "error" in message:
                    raise Exception(command + ": " + message["error"]["desc"])
                if "return" in message:
                    return message["return"]
        ask("qmp_capabilities")
        ask("blockdev-add", **{"driver": "nbd", "node-name": "target",
                               "server": {"type": "unix", "path": target}})
        start = time.time()
        more = {"buf-size": buf} if buf else {}
        ask("blockdev-mirror", **{"job-id": "m", "device": "disk", "target": "target", "sync": "full", **more})
        while ask("query-jobs")[0]["status"] != "ready":
            if time.time() - start > 60:
                raise Exception("the mirror is not ready after 60 s")
            time.sleep(0.01)
        seconds = time.time() - start
    finally:
        process.kill()
        process.wait()
        os.remove(qmp)
    with open(log) as text:
        text.seek(before)
        lengths = re.findall(r" Zero id=\d+ offset=\S+ count=(\S+)", text.read())
    return seconds, collections.Counter(int(length, 16) // MIB for length in lengths)

def expect(what, holds):
    if not holds:
        faults.append(what)

print("release   round trip  buf-size  until ready  zeroes")
for release in "bookworm", "trixie":
    for delay, buf, piece in (1, 0, 16), (20, 0, 16), (20, 32 * MIB, 32), (20, 64 * MIB, 32), (20, 256 * MIB, 32):
        seconds, counts = mirror(release, delay, buf)
        text = ", ".join("%d of %d MiB" % (n, length) for length, n in counts.most_common(2))
        print("%-9s %7d ms  %8s  %9.2f s  %s" % (release, delay, buf // MIB or "default", seconds, text))
        name = "%s, buf-size %d MiB" % (release, buf // MIB)
        requests = sum(counts.values())
        expect(name + ": not %d MiB a request" % piece, counts.most_common(1)[0][0] == piece)
        # 16 at once: one round trip for each 16 requests at least.
        expect(name + ": faster than its round trips", seconds >= requests / 16 * delay / 1000 * 0.9)
if faults:
    print("CHANGED: " + "; ".join(faults))
    sys.exit(1)
print("AS STATED")
END
driver=$!
pids="$pids $driver"
wait "$driver"

# Seen on 28 November 2026:
#
# release   round trip  buf-size  until ready  zeroes
# bookworm        1 ms   default       0.16 s  1024 of 16 MiB
# bookworm       20 ms   default       1.57 s  1024 of 16 MiB
# bookworm       20 ms        32       0.92 s  512 of 32 MiB
# bookworm       20 ms        64       0.76 s  512 of 32 MiB
# bookworm       20 ms       256       0.72 s  512 of 32 MiB
# trixie          1 ms   default       0.10 s  1024 of 16 MiB
# trixie         20 ms   default       1.56 s  1024 of 16 MiB
# trixie         20 ms        32       0.74 s  512 of 32 MiB
# trixie         20 ms        64       0.77 s  512 of 32 MiB
# trixie         20 ms       256       0.86 s  512 of 32 MiB
# AS STATED
