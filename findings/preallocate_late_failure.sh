#!/bin/sh
# preallocate_late_failure.sh: a qcow2 image above a preallocate filter fails a migration once the guest is paused.
#
# Expected: what QEMU cannot migrate is a blocker: it is in blocked-reasons of query-migrate, and `migrate`
#   refuses at once. A preallocate filter is no format of its own, and none is named.
# Really: QEMU 10.0 reads all of RAM, pauses the guest and then fails to inactivate its disks. error-desc is
#   "Error in migration completion: Bad address"; that a disk is the reason, only standard error says, and it
#   names no node. The destination has loaded everything but the last byte and reports a broken stream. The
#   guest runs on at the source. QEMU 7.2 completes the same migration, and 10.0 with a raw image above the
#   filter. A tool that copies disks first learns of it after hours: it has to report the source's failure,
#   not the destination's, which was only its consequence.
# Versions: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13).
# How seen: November 2026, TCG, -machine q35, SeaBIOS only, an empty image of 8 MiB at each end.
#
# Exit status: 0 the behaviour is as stated, 1 it has changed, 2 it could not be tried.
set -eu
work=$(mktemp -d)
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; rm -rf "$work"; exit $status' EXIT
cannot() {
  echo "NOT TRIED: $*"
  exit 2
}
for tool in apt-get dpkg-deb python3 qemu-img; do command -v "$tool" >/dev/null || cannot "there is no $tool"; done
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
  grep -v -e security -e ports | sort -u | head -n 1)
[ -n "$mirror" ] || cannot "apt knows no source of Debian packages"

# unpack RELEASE VERSION: that qemu-system-x86 with its libraries in $work/RELEASE/root.
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
  own --download-only install "qemu-system-x86=$2" >"$dir/log" 2>&1 ||
    cannot "qemu-system-x86=$2 of Debian $1: $(tail -n 3 "$dir/log")"
  for name in bin lib lib64 sbin; do
    mkdir -p "$dir/root/usr/$name"
    ln -s "usr/$name" "$dir/root/$name"
  done
  for package in "$dir"/apt/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -xf - -C "$dir/root" --no-same-owner --keep-directory-symlink
  done
}

# run RELEASE FORMAT STATUS RUNSTATE: migrates a guest whose image is above a preallocate filter.
run() {
  root=$work/$1/root
  cat >"$work/$1/qemu" <<END
#!/bin/sh
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \\
  "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
END
  chmod +x "$work/$1/qemu"
  python3 - "$work/$1" "$2" "$3" "$4" <<'END'
import json, os, socket, subprocess, sys, time

directory, image_format, status, runstate = sys.argv[1:]

class Machine:
    def __init__(self, name, *more):
        path, image = directory + "/" + name, directory + "/" + name + ".image"
        for old in (path, image):
            if os.path.exists(old):
                os.remove(old)
        subprocess.run(["qemu-img", "create", "-q", "-f", image_format, image, "8M"], check=True)
        node = {"driver": image_format, "node-name": "disk",
                "file": {"driver": "preallocate", "file": {"driver": "file", "filename": image}}}
        self.log = path + ".log"
        self.process = subprocess.Popen(
            [directory + "/qemu", "-machine", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
             "-qmp", "unix:" + path + ",server=on,wait=off", "-blockdev", json.dumps(node),
             "-device", "virtio-blk-pci,drive=disk", *more], stderr=open(self.log, "w"))
        deadline = time.monotonic() + 60
        while True:
            try:
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    print("NOT TRIED: QEMU does not listen:", open(self.log).read())
                    sys.exit(2)
                time.sleep(0.01)
        self.lines = sock.makefile("rw")
        self.lines.readline()
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                print("NOT TRIED:", command, answer["error"]["desc"])
                sys.exit(2)
            if "return" in answer:
                return answer["return"]

    def end(self):
        self.process.kill()
        self.process.wait()

source, destination = Machine("source"), Machine("destination", "-incoming", "defer")
try:
    uri = "unix:" + directory + "/ram"
    destination.execute("migrate-incoming", uri=uri)
    blockers = source.execute("query-migrate").get("blocked-reasons", [])
    source.execute("migrate", uri=uri)
    deadline = time.monotonic() + 120
    while True:
        info = source.execute("query-migrate")
        if info["status"] in ("completed", "failed") or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    deadline = time.monotonic() + 20
    while (now := source.execute("query-status")["status"]) != runstate and time.monotonic() < deadline:
        time.sleep(0.05)
    told = [line for line in open(source.log).read().splitlines() if "inactivate" in line]
    print("%s: %d blockers, %s%s, the source's guest is %s%s" % (
        image_format, len(blockers), info["status"],
        ", error-desc: " + info["error-desc"] if "error-desc" in info else "", now,
        "".join(", standard error: " + line.split(": ", 1)[-1] for line in told)))
    sys.exit(0 if (len(blockers), info["status"], now) == (0, status, runstate) else 1)
finally:
    source.end()
    destination.end()
END
}

unpack bookworm '1:7.2+dfsg-7+deb12u18+b3'
unpack trixie '1:10.0.13+ds-0+deb13u1'
result="AS STATED"
# tried RELEASE FORMAT STATUS RUNSTATE
tried() {
  status=0
  printf '%s, ' "$1"
  run "$@" || status=$?
  [ "$status" != 2 ] || exit 2
  [ "$status" = 0 ] || result=CHANGED
}
tried bookworm qcow2 completed postmigrate
tried trixie raw completed postmigrate
tried trixie qcow2 failed running
echo "$result: QEMU 7.2.22 and 10.0.13"
[ "$result" = "AS STATED" ]


# Seen on 2026-11-29:
#   bookworm, qcow2: 0 blockers, completed, the source's guest is postmigrate
#   trixie, raw: 0 blockers, completed, the source's guest is postmigrate
#   trixie, qcow2: 0 blockers, failed, error-desc: Error in migration completion: Bad address, the source's guest is running, standard error: migration_block_inactivate: bdrv_inactivate_all() failed: -1
#   AS STATED: QEMU 7.2.22 and 10.0.13
