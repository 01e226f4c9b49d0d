#!/bin/sh
# postcopy_stale_return_path.sh: after a cancelled post-copy, QEMU 7.2 opens a return path that nothing reads.
#
# Expected: a migration without `postcopy-ram` and `return-path` is one way: the destination sends nothing back.
# Really: once QEMU 7.2 has cancelled a post-copy in `pre-switchover` (`migrate-start-postcopy`,
#   `pause-before-switchover`), its next migration sends MIG_CMD_OPEN_RETURN_PATH behind the header, with every
#   capability off. The destination answers (a pong, and a word at the end), and nothing at the source reads
#   that. The source is `completed` and closes its socket with the answers unread. A program between the two
#   QEMUs then meets ECONNRESET as it reads, or EPIPE as it writes: it must deliver what the source wrote before,
#   and not end the destination's stream as broken. QEMU 10.0 opens no return path.
# Versions: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13).
# How seen: November 2026, TCG, firmware without a disk to boot from; plain QMP, UNIX sockets, a relay in Python
#   that joins them. QEMU 7.2 leaves the guest in `postmigrate` after the cancel; it got `cont`.
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
python3 - "$work" <<'END'
import json, os, socket, struct, subprocess, sys, threading, time

work = sys.argv[1]

class Refused(Exception):
    pass

def wait(what, done):
    deadline = time.monotonic() + 60
    while not done():
        if time.monotonic() > deadline:
            print("NOT TRIED: waited 60 s for", what)
            sys.exit(2)
        time.sleep(0.02)

def remove(path):
    if os.path.exists(path):
        os.remove(path)
    return path

class Qemu:
    def __init__(self, release, name, incoming):
        path = remove("%s/%s.qmp" % (work, name))
        self.process = subprocess.Popen(
            ["%s/%s/qemu" % (work, release), "-machine", "pc-q35-7.2", "-accel", "tcg", "-m", "128",
             "-nodefaults", "-display", "none", "-qmp", "unix:%s,server=on,wait=off" % path] +
            ["-S", "-incoming", "defer"] * incoming, stderr=subprocess.DEVNULL)
        sock = socket.socket(socket.AF_UNIX)
        wait("QEMU to listen", lambda: os.path.exists(path) and sock.connect_ex(path) == 0)
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

    def set(self, state, *names):
        self.ask("migrate-set-capabilities", capabilities=[{"capability": n, "state": state} for n in names])

    def migration(self):
        return self.ask("query-migrate")

    def becomes(self, *statuses):
        wait("migration " + statuses[0], lambda: self.migration().get("status") in statuses)

    def end(self):
        self.process.kill()
        self.process.wait()

class Relay:
    """joins two sockets, and keeps what it saw"""
    def __init__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(remove(work + "/relay"))
        self.listener.listen(1)
        self.head, self.answers, self.error = b"", b"", None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.source = self.listener.accept()[0]
        self.destination = socket.socket(socket.AF_UNIX)
        self.destination.connect(work + "/ram")
        back = threading.Thread(target=self.back, daemon=True)
        back.start()
        while True:
            try:
                data = self.source.recv(65536)
            except OSError as error:
                self.error = self.error or "reading from the source: " + os.strerror(error.errno)
                break
            if not data:
                break
            self.head = (self.head + data)[:200]
            self.destination.sendall(data)
        self.destination.shutdown(socket.SHUT_WR)
        back.join(20)

    def back(self):
        while True:
            try:
                data = self.destination.recv(65536)
            except OSError:
                return
            if not data:
                return
            self.answers += data
            try:
                self.source.sendall(data)
            except OSError as error:
                self.error = self.error or "writing to the source: " + os.strerror(error.errno)
                return

    def opens_return_path(self):
        """the first command behind the header: magic, version, the name of the machine"""
        magic, version, kind, length = struct.unpack(">IIBI", self.head[:13])
        assert (magic, version, kind) == (0x5145564d, 3, 7), "not the header of a migration"
        return self.head[13 + length:13 + length + 5] == struct.pack(">BHH", 8, 1, 0)

def plain(source, release):
    """a migration with every capability off"""
    assert not [c for c in source.ask("query-migrate-capabilities") if c["state"]], "a capability is on"
    destination, relay = Qemu(release, "destination", True), Relay()
    destination.ask("migrate-incoming", uri="unix:%s/ram" % work)
    source.ask("migrate", uri="unix:%s/relay" % work)
    source.becomes("completed", "failed")
    relay.thread.join(20)
    there = destination.migration().get("status")
    here = source.migration().get("status")
    destination.end()
    return relay.opens_return_path(), len(relay.answers), relay.error, here, there

def cancelled_postcopy(source, release):
    """the migration's status, and the guest's; it runs again afterwards"""
    destination, relay = Qemu(release, "destination", True), Relay()
    destination.set(True, "postcopy-ram")
    source.set(True, "postcopy-ram", "pause-before-switchover")
    destination.ask("migrate-incoming", uri="unix:%s/ram" % work)
    source.ask("migrate-set-parameters", **{"max-bandwidth": 1000000})
    source.ask("migrate", uri="unix:%s/relay" % work)
    source.becomes("active")
    source.ask("migrate-start-postcopy")
    source.becomes("pre-switchover")
    source.ask("migrate_cancel")
    source.becomes("cancelled", "failed")
    status = source.migration()["status"]
    destination.end()
    source.set(False, "postcopy-ram", "pause-before-switchover")
    source.ask("migrate-set-parameters", **{"max-bandwidth": 1000000000})
    run = source.ask("query-status")["status"]
    source.ask("cont")
    wait("the guest to run", lambda: source.ask("query-status")["status"] == "running")
    return status, run

def row(name, release):
    print(name, flush=True)
    source = Qemu(release, "source", False)
    before = plain(source, release)
    source.end()
    print("  a new source: %s" % told(before), flush=True)
    source = Qemu(release, "source", False)
    status, run = cancelled_postcopy(source, release)
    print("  post-copy in pre-switchover, migrate_cancel: %s, guest %s" % (status, run), flush=True)
    after = plain(source, release)
    source.end()
    print("  its next migration: %s" % told(after), flush=True)
    return before[0], after[0], after[2] is not None, after[3:]

def told(result):
    opens, answers, error, here, there = result
    return "%s, %d bytes of answers, the relay: %s; source %s, destination %s" % (
        "opens a return path" if opens else "no return path", answers, error or "no error", here, there)

old = row("7.2", "bookworm")
new = row("10.0", "trixie")
both = ("completed", "completed")
stated = old == (False, True, True, both) and new == (False, False, False, both)
print("AS STATED" if stated else "CHANGED")
sys.exit(0 if stated else 1)
END

# Seen on 2026-11-28:
#   7.2
#     a new source: no return path, 0 bytes of answers, the relay: no error; source completed, destination completed
#     post-copy in pre-switchover, migrate_cancel: cancelled, guest postmigrate
#     its next migration: opens a return path, 16 bytes of answers, the relay: reading from the source: Connection
#       reset by peer; source completed, destination completed
#   10.0
#     a new source: no return path, 0 bytes of answers, the relay: no error; source completed, destination completed
#     post-copy in pre-switchover, migrate_cancel: cancelled, guest running
#     its next migration: no return path, 0 bytes of answers, the relay: no error; source completed, destination
#       completed
#   AS STATED
