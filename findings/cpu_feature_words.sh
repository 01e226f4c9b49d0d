#!/bin/sh
# cpu_feature_words.sh: one -cpu on one machine type has other "feature-words" in QEMU 10.0 than in 7.2.
#
# Expected: with the same -cpu, -smp and versioned machine type, the QOM property feature-words of a
#   vCPU (the CPUID that the guest sees, by query) is the same in both versions, since the machine type
#   keeps what the guest sees the same.
# Really: 7.2 sets the bits ht (leaf 1, EDX bit 28) and cmp_legacy (leaf 80000001, ECX bit 1) only as the
#   guest executes CPUID; 10.0 has them in feature-words as soon as a vCPU has a sibling. The guest sees
#   the same. A tool that compares feature-words before a migration must leave both bits out, or it
#   refuses every way back from 10.0 to 7.2 for want of features that nothing lacks.
# Versions: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), 1:10.0.13+ds-0+deb13u1 (Debian 13).
# How seen: November 2026, TCG, -machine pc-q35-7.2 -cpu qemu64 -smp 2, no disk, guest not started.
#
# Exit status: 0 the behaviour is as stated, 1 it has changed, 2 it could not be tried.
set -eu
work=$(mktemp -d)
pids=
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; for pid in $pids; do kill "$pid" 2>/dev/null || :; done; rm -rf "$work"; exit $status' EXIT
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

# start RELEASE: QEMU, by its own loader, with QMP on $work/RELEASE/qmp.
start() {
  root=$work/$1/root
  QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu" "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
    "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" \
    -machine pc-q35-7.2 -accel tcg -cpu qemu64 -smp 2 -m 64 -nodefaults -display none -S \
    -qmp "unix:$work/$1/qmp,server=on,wait=off" 2>"$work/$1/stderr" &
  pids="$pids $!"
}

unpack bookworm '1:7.2+dfsg-7+deb12u18+b3'
unpack trixie '1:10.0.13+ds-0+deb13u1'
start bookworm
start trixie
python3 - "$work/bookworm/qmp" "$work/trixie/qmp" <<'END'
import json, os, socket, sys, time

def words(path):
    deadline = time.monotonic() + 60
    while True:
        try:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            break
        except OSError:
            if time.monotonic() > deadline:
                print("NOT TRIED: QEMU does not listen:", open(path.replace("qmp", "stderr")).read())
                sys.exit(2)
            time.sleep(0.1)
    lines = sock.makefile("rw")
    json.loads(lines.readline())

    def ask(command, **arguments):
        lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        lines.flush()
        while True:
            message = json.loads(lines.readline())
            if "return" in message:
                return message["return"]

    ask("qmp_capabilities")
    version = ask("query-version")["qemu"]
    cpu = ask("query-cpus-fast")[0]["qom-path"]
    found = ask("qom-get", path=cpu, property="feature-words")
    name = lambda w: "%X.%s" % (w["cpuid-input-eax"], w["cpuid-register"])
    return "%(major)d.%(minor)d.%(micro)d" % version, {name(w): w["features"] for w in found}

(old, a), (new, b) = (words(path) for path in sys.argv[1:])
names = {("1.EDX", 28): "ht", ("80000001.ECX", 1): "cmp_legacy"}
differ = [(word, bit) for word in sorted(set(a) | set(b)) for bit in range(32)
          if (a.get(word, 0) ^ b.get(word, 0)) >> bit & 1]
for word, bit in differ:
    where = new if b.get(word, 0) >> bit & 1 else old
    print("%s bit %d (%s): only in %s" % (word, bit, names.get((word, bit), "?"), where))
stated = differ == sorted(names) and all(b[w] >> i & 1 for w, i in differ)
print("AS STATED" if stated else "CHANGED", "from QEMU", old, "to", new)
sys.exit(0 if stated else 1)
END

# Seen on 2026-11-28:
#   1.EDX bit 28 (ht): only in 10.0.13
#   80000001.ECX bit 1 (cmp_legacy): only in 10.0.13
#   AS STATED from QEMU 7.2.22 to 10.0.13
