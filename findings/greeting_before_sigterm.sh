#!/bin/sh
# greeting_before_sigterm.sh: QEMU greets on QMP before it handles SIGTERM, which then ends it without a cleanup.
#
# Expected: a QEMU that accepts a QMP connection and has sent its greeting is up: SIGTERM ends it as
#   "quit" does, with exit status 0, and the file of -pidfile goes with it.
# Really: the greeting comes from the monitor's own thread while the main thread is still starting up. A
#   SIGTERM that comes then kills QEMU (status 128 + 15): no exit handler runs, and the file of -pidfile
#   stays, with the number of a process that another one may get. Once QEMU has answered its first
#   command, qmp_capabilities, SIGTERM is handled. A tool that starts a QEMU and may have to stop it must
#   wait for that answer, not for the greeting, or remove the file itself.
# Versions: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13).
# How seen: November 2026, TCG, -machine q35, no disk, -incoming defer; the same with 11.1.3 of Debian sid.
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

# run RELEASE: 10 QEMUs each, by its own loader, ended after the greeting and after qmp_capabilities.
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
import os, signal, socket, subprocess, sys, time

directory = sys.argv[1]
qmp, pidfile = directory + "/qmp", directory + "/pid"

def once(after_answer):
    for path in (qmp, pidfile):
        if os.path.exists(path):
            os.remove(path)
    qemu = subprocess.Popen(
        [directory + "/qemu", "-machine", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
         "-incoming", "defer", "-qmp", "unix:" + qmp + ",server=on,wait=off", "-pidfile", pidfile],
        stderr=open(directory + "/stderr", "w"))
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(qmp)
                break
            except OSError:
                if time.monotonic() > deadline or qemu.poll() is not None:
                    print("NOT TRIED: QEMU does not listen:", open(directory + "/stderr").read())
                    sys.exit(2)
                time.sleep(0.002)
        lines = sock.makefile("rw")
        greeting = lines.readline()
        assert "QMP" in greeting, greeting
        if after_answer:
            lines.write('{"execute":"qmp_capabilities"}\n')
            lines.flush()
            assert "return" in lines.readline()
        qemu.send_signal(signal.SIGTERM)
        return qemu.wait(60), os.path.exists(pidfile)
    finally:
        if qemu.poll() is None:
            qemu.kill()
            qemu.wait()

early = [once(False) for _ in range(10)]
late = [once(True) for _ in range(10)]
for name, seen in ("greeting", early), ("answer", late):
    killed = sum(status == -signal.SIGTERM for status, _ in seen)
    left = sum(there for _, there in seen)
    print("SIGTERM after the %s: %d of 10 killed by it, %d files of -pidfile left" % (name, killed, left))
# How far QEMU has come when the greeting is there depends on the machine: some must be killed, none later.
stated = any(s == -signal.SIGTERM and there for s, there in early) and all(seen == (0, False) for seen in late)
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
#   SIGTERM after the greeting: 10 of 10 killed by it, 10 files of -pidfile left
#   SIGTERM after the answer: 0 of 10 killed by it, 0 files of -pidfile left
#   trixie:
#   SIGTERM after the greeting: 10 of 10 killed by it, 10 files of -pidfile left
#   SIGTERM after the answer: 0 of 10 killed by it, 0 files of -pidfile left
#   AS STATED: QEMU 7.2.22 and 10.0.13
