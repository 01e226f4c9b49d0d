#!/bin/sh
# postcopy_return.sh: a source in post-copy takes neither cont nor migrate_cancel, but a false destination frees it.
#
# Expected: until the guest has run at the destination, `migrate_cancel` or `cont` runs it at the source again.
# Really: in `postcopy-paused` (the stream broke) QEMU 10.0 refuses both. QEMU 7.2 refuses `cont`; it accepts
#   `migrate_cancel` and stays in `cancelling`. The source still has all of its RAM, unless `release-ram` is
#   on, and its disks are only inactive. It does resume the stream: QMP `migrate` with `resume`, to any
#   socket. A program there that answers each request for a bitmap with ones (every page was received),
#   acknowledges the resume and confirms the end makes the migration `completed`; then `cont` activates the
#   disks and runs the guest. A migration tool may do so only if the guest has never run at the destination
#   and never will. If the program closes its socket in the middle, QEMU 7.2 stays in `postcopy-recover`;
#   QEMU 10.0 is `postcopy-paused` again.
# Versions: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13).
# How seen: November 2026, TCG, firmware without a disk to boot from, 64 MiB of random bytes in RAM; plain QMP,
#   UNIX sockets, the destination's process killed when it had loaded the device state.
#
# Exit status: 0 the behaviour is as stated, 1 it has changed, 2 it could not be tried.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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
# wrapper RELEASE: a program $work/RELEASE/qemu that runs that QEMU by its own loader.
wrapper() {
  root=$work/$1/root
  cat >"$work/$1/qemu" <<END
#!/bin/sh
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
  "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
END
  chmod 755 "$work/$1/qemu"
}

unpack bookworm '1:7.2+dfsg-7+deb12u18+b3'
unpack trixie '1:10.0.13+ds-0+deb13u1'
wrapper bookworm
wrapper trixie
head -c 67108864 /dev/urandom >"$work/random"
truncate -s 1M "$work/disk"
python3 - "$work" <<'END'
import json, os, socket, struct, subprocess, sys, threading, time

work = sys.argv[1]
PAGE = 4096

class Refused(Exception):
    pass

class Qemu:
    def __init__(self, release, name, incoming):
        path = "%s/%s.qmp" % (work, name)
        if os.path.exists(path):
            os.remove(path)
        self.process = subprocess.Popen(
            ["%s/%s/qemu" % (work, release), "-machine", "pc-q35-7.2", "-accel", "tcg", "-m", "128",
             "-nodefaults", "-display", "none",
             "-blockdev", "driver=raw,node-name=d0,file.driver=file,file.filename=%s/disk" % work,
             "-device", "virtio-blk-pci,drive=d0",
             "-device", "loader,file=%s/random,addr=0x2000000,force-raw=on" % work,
             "-qmp", "unix:%s,server=on,wait=off" % path] + ["-S", "-incoming", "defer"] * incoming,
            stderr=subprocess.DEVNULL)
        wait("QEMU to listen", lambda: os.path.exists(path))
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        self.lines = sock.makefile("rw")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            message = json.loads(self.lines.readline())
            if "error" in message:
                raise Refused(message["error"]["desc"])
            if "return" in message:
                return message["return"]

    def on(self, *names):
        self.ask("migrate-set-capabilities", capabilities=[{"capability": n, "state": True} for n in names])

    def migration(self):
        return self.ask("query-migrate").get("status")

    def becomes(self, *statuses):
        wait("migration " + statuses[0], lambda: self.migration() in statuses)

    def tries(self, command):
        try:
            self.ask(command)
            return "accepted"
        except Refused as error:
            return "refused: %s" % error

    def blocks(self):
        """name -> used bytes of each RAM block"""
        lines = self.ask("human-monitor-command", **{"command-line": "info ramblock"}).splitlines()[1:]
        return {words[0]: int(words[4], 16) for words in (line.split() for line in lines) if len(words) > 5}

def wait(what, done):
    deadline = time.monotonic() + 60
    while not done():
        if time.monotonic() > deadline:
            print("NOT TRIED: waited 60 s for", what)
            sys.exit(2)
        time.sleep(0.02)

def listen(path):
    if os.path.exists(path):
        os.remove(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    return listener

def receive_everything(listener, blocks):
    """a destination that has every page; with no blocks, one that hangs up at the first request"""
    stream = listener.accept()[0]
    read = stream.makefile("rb").read
    def say(kind, payload, more=b""):
        stream.sendall(struct.pack(">HH", kind, len(payload)) + payload + more)
    while True:
        kind = read(1)[0]
        if kind == 8:
            command, length = struct.unpack(">HH", read(4))
            payload = read(length)
            if command == 10 and not blocks:
                return stream.close()
            if command == 10:
                size = (blocks[payload[1:].decode()] // PAGE + 63) // 64 * 8
                say(5, payload, struct.pack(">Q", size) + b"\xff" * size + struct.pack(">Q", 0x0123456789abcdef))
            if command == 9:
                say(6, struct.pack(">I", 1))
        elif kind in (2, 3):
            section, word = struct.unpack(">IQ", read(12))
            assert word == 0x10, "got a page"
        elif kind == 0x7e:
            read(4)
        elif kind == 0:
            return say(1, struct.pack(">I", 0))
        else:
            raise Exception("section %d" % kind)

def resume(source, blocks):
    listener = listen(work + "/back")
    server = threading.Thread(target=receive_everything, args=(listener, blocks), daemon=True)
    server.start()
    source.ask("migrate", uri="unix:%s/back" % work, resume=True)
    server.join(20)
    listener.close()

def paused(release):
    """a source in postcopy-paused"""
    source, destination = Qemu(release, "source", False), Qemu(release, "destination", True)
    try:
        destination.on("postcopy-ram", "late-block-activate")
    except Refused as error:
        print("NOT TRIED: no post-copy:", error)
        sys.exit(2)
    source.on("postcopy-ram")
    if os.path.exists(work + "/ram"):
        os.remove(work + "/ram")
    destination.ask("migrate-incoming", uri="unix:%s/ram" % work)
    source.ask("migrate-set-parameters", **{"max-bandwidth": 5000000, "max-postcopy-bandwidth": 5000000})
    source.ask("migrate", uri="unix:%s/ram" % work)
    source.becomes("active")
    source.ask("migrate-start-postcopy")
    source.becomes("postcopy-active")
    wait("the destination to load", lambda: destination.ask("query-status")["status"] == "paused")
    destination.process.kill()
    destination.process.wait()
    source.becomes("postcopy-paused")
    return source

def row(name, release):
    print(name, flush=True)
    source = paused(release)
    cont = source.tries("cont")
    print("  cont:", cont)
    resume(source, source.blocks())
    source.becomes("completed")
    source.ask("cont")
    status = source.ask("query-status")["status"]
    print("  after a resume to a program with every page: migration completed, cont accepted, guest %s" % status)
    source.process.kill()
    source.process.wait()
    source = paused(release)
    resume(source, {})
    time.sleep(3)
    broken = source.migration()
    print("  3 s after a resume whose program hung up:", broken, flush=True)
    source.process.kill()
    source.process.wait()
    source = paused(release)
    cancel = source.tries("migrate_cancel")
    time.sleep(3)
    cancelled = source.migration()
    print("  migrate_cancel: %s; 3 s later: %s" % (cancel, cancelled), flush=True)
    source.process.kill()
    source.process.wait()
    return cont.startswith("refused"), status, broken, cancelled

old = row("7.2", "bookworm")
new = row("10.0", "trixie")
stated = (old == (True, "running", "postcopy-recover", "cancelling") and
          new == (True, "running", "postcopy-paused", "postcopy-paused"))
print("AS STATED" if stated else "CHANGED")
sys.exit(0 if stated else 1)
END

# Seen on 2026-11-28:
#   7.2
#     cont: refused: Migration is not finalized yet
#     after a resume to a program with every page: migration completed, cont accepted, guest running
#     3 s after a resume whose program hung up: postcopy-recover
#     migrate_cancel: accepted; 3 s later: cancelling
#   10.0
#     cont: refused: Migration is not finalized yet
#     after a resume to a program with every page: migration completed, cont accepted, guest running
#     3 s after a resume whose program hung up: postcopy-paused
#     migrate_cancel: refused: Postcopy migration in progress, cannot cancel.; 3 s later: postcopy-paused
#   AS STATED
