#!/bin/sh
# reset_closes_tray.sh: a reset closes the tray of a CD drive, and no event says so.
#
# Expected: after blockdev-open-tray the tray stays open until the guest or blockdev-close-tray closes it,
#   and every change comes as a DEVICE_TRAY_MOVED event, as QEMU's QMP reference says.
# Really: a reset of the machine, or of the controller (firmware and drivers reset it when they start),
#   closes the tray of scsi-cd and ide-cd. No DEVICE_TRAY_MOVED follows, and a blockdev-remove-medium that
#   comes next fails: "Tray of device ... is not open". A tool that takes a medium out by two commands
#   fails at a guest that just boots; eject does both as one command, and a tool that goes by the events
#   believes in an open tray.
# Versions: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13).
# How seen: November 2026, TCG, -machine q35, -S, a raw medium, system_reset.
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
for tool in apt-get dpkg-deb python3; do command -v "$tool" >/dev/null || cannot "there is no $tool"; done
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

# run RELEASE: opens the tray, with and without a reset after it, and takes the medium out.
run() {
  root=$work/$1/root
  cat >"$work/$1/qemu" <<END
#!/bin/sh
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \\
  "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
END
  chmod +x "$work/$1/qemu"
  python3 - "$work/$1" <<'END'
import json, os, socket, subprocess, sys, time

directory = sys.argv[1]
path, medium = directory + "/qmp", directory + "/medium.iso"
with open(medium, "wb") as file:
    file.truncate(1 << 20)

class Machine:
    def __init__(self, drive):
        if os.path.exists(path):
            os.remove(path)
        self.process = subprocess.Popen(
            [directory + "/qemu", "-machine", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
             "-S", "-qmp", "unix:" + path + ",server=on,wait=off", "-device", "virtio-scsi-pci", "-blockdev",
             "driver=raw,node-name=cd,read-only=on,file.driver=file,file.filename=" + medium,
             "-device", drive + ",drive=cd,id=drive"], stderr=open(directory + "/stderr", "w"))
        self.events = []
        deadline = time.monotonic() + 60
        while True:
            try:
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    print("NOT TRIED: QEMU does not listen:", open(directory + "/stderr").read())
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
            if "event" not in answer:
                return answer
            self.events.append(answer["event"])

    def tray(self):
        drives = self.execute("query-block")["return"]
        return "open" if any(drive.get("tray_open") for drive in drives) else "closed"

def tried(drive, reset):
    machine = Machine(drive)
    try:
        machine.execute("blockdev-open-tray", id="drive", force=True)
        assert machine.tray() == "open"
        machine.events.clear()
        if reset:
            machine.execute("system_reset")
            # The reset happens in the main loop, and its event comes after it.
            deadline = time.monotonic() + 60
            while "RESET" not in machine.events and time.monotonic() < deadline:
                machine.execute("query-status")
                time.sleep(0.01)
            assert "RESET" in machine.events
        tray = machine.tray()
        moved = machine.events.count("DEVICE_TRAY_MOVED")
        answer = machine.execute("blockdev-remove-medium", id="drive")
        print("%s, %s: tray %s, %d DEVICE_TRAY_MOVED, blockdev-remove-medium: %s" % (
            drive, "after a reset" if reset else "no reset", tray, moved,
            answer["error"]["desc"] if "error" in answer else "done"))
        return tray, moved, "error" in answer
    finally:
        machine.process.kill()
        machine.process.wait()

stated = all([tried(drive, False) == ("open", 0, False) and tried(drive, True) == ("closed", 0, True)
              for drive in ("scsi-cd", "ide-cd,bus=ide.2")])
sys.exit(0 if stated else 1)
END
}

unpack bookworm '1:7.2+dfsg-7+deb12u18+b3'
unpack trixie '1:10.0.13+ds-0+deb13u1'
result="AS STATED"
for release in bookworm trixie; do
  echo "$release:"
  status=0
  run "$release" || status=$?
  [ "$status" != 2 ] || exit 2
  [ "$status" = 0 ] || result=CHANGED
done
echo "$result: QEMU 7.2.22 and 10.0.13"
[ "$result" = "AS STATED" ]


# Seen on 2026-11-29:
#   bookworm:
#   scsi-cd, no reset: tray open, 0 DEVICE_TRAY_MOVED, blockdev-remove-medium: done
#   scsi-cd, after a reset: tray closed, 0 DEVICE_TRAY_MOVED, blockdev-remove-medium: Tray of device 'drive' is not open
#   ide-cd,bus=ide.2, no reset: tray open, 0 DEVICE_TRAY_MOVED, blockdev-remove-medium: done
#   ide-cd,bus=ide.2, after a reset: tray closed, 0 DEVICE_TRAY_MOVED, blockdev-remove-medium: Tray of device 'drive' is not open
#   trixie: the same
#   AS STATED: QEMU 7.2.22 and 10.0.13
