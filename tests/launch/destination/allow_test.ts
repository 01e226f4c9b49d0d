import { assert, assertEquals } from "@std/assert";
import {
  binaryRefusal,
  environmentRefusals,
  placeRefusal,
} from "../../../src/launch/destination/rules/allow.ts";
import { readStart, startRefusals } from "../../../src/launch/destination/rules/arguments.ts";
import { isAllowedPlace, isPlainPath } from "../../../src/host/mod.ts";
import type { LaunchStart } from "../../../src/rpc/mod.ts";

const QMP = ["-qmp", "unix:/srv/vm/qmp.sock,server=on,wait=off"];

function start(...more: string[]): LaunchStart {
  return {
    argv: ["qemu-system-x86_64", ...QMP, ...more, "-incoming", "defer"],
    ...{ cwd: "/srv/vm", environment: {}, user: null, qmp: "/srv/vm/qmp.sock" },
    ...{ manager: "daemon", persist: false, owner: null },
  };
}

/** What a source from the network may not do with these options; no path is a symbolic link. */
function refusals(...more: string[]): string[] {
  const wanted = start(...more);
  const read = readStart(wanted);
  if ("problems" in read) throw new Error(read.problems.join("; "));
  const real = new Map(read.paths.map(({ path }) => [path, new URL(`file://${path}`).pathname]));
  return startRefusals("network", read, wanted, { real, home: "/root" });
}

Deno.test("a source from the network may have guests' directories written", () => {
  const paths = ["/srv/a.raw", "/data/a", "/tank/vm/a", "/var/lib/libvirt/images/a", "/mnt/x/a"];
  assertEquals(paths.filter((path) => !isAllowedPlace(path, "write", "/root")), []);
  assert(isAllowedPlace("/home/vm/images/a", "write", "/home/vm"));
});

Deno.test("a source from the network may have nothing of the host written", () => {
  const paths = [
    ...["/etc/cron.d/x", "/usr/bin/x", "/bin/x", "/sbin/x", "/lib/x", "/lib64/x", "/boot/x"],
    ...["/root/x", "/root/.ssh/authorized_keys", "/proc/x", "/sys/x", "/dev/sda", "/opt/x", "/"],
    ...["/var/spool/cron/crontabs/root", "/var/lib/dpkg/status", "/run/systemd/system/x.service"],
    ...["/home/vm/.ssh/authorized_keys", "/home/other/.bashrc", "/etc", "/usr"],
  ];
  assertEquals(paths.filter((path) => isAllowedPlace(path, "write", "/root")), []);
  assertEquals(isAllowedPlace("/home/vm/.profile", "write", "/home/vm"), false);
});

Deno.test("a source from the network may read firmware of the host, not its secrets", () => {
  assert(isAllowedPlace("/usr/share/OVMF/OVMF_CODE.fd", "read", "/root"));
  for (const path of ["/etc/shadow", "/root/.ssh/id_rsa", "/proc/1/environ", "/var/lib/x"]) {
    assertEquals(isAllowedPlace(path, "read", "/root"), false, path);
  }
});

Deno.test("sockets lie in /run, but not among those of services", () => {
  assert(isAllowedPlace("/run/vm1.qmp", "socket", "/root"));
  assertEquals(isAllowedPlace("/run/systemd/notify", "socket", "/root"), false);
  assertEquals(isAllowedPlace("/run/vm1.log", "write", "/root"), false);
});

Deno.test("a symbolic link counts as the directory that it leads to", () => {
  const places = { real: new Map([["/srv/x/a", "/etc/a"]]), home: undefined };
  assert(placeRefusal("network", "/srv/x/a", "write", places)?.includes("/srv/x/a (/etc/a)"));
  assertEquals(placeRefusal("login", "/srv/x/a", "write", places), undefined);
  assertEquals(placeRefusal("any", "/srv/x/a", "write", places), undefined);
});

Deno.test("a path that was not resolved is refused", () => {
  assert(placeRefusal("network", "/srv/a", "write", { real: new Map(), home: undefined }));
});

Deno.test("only qemu-system-* is started for a source from the network", () => {
  assertEquals(binaryRefusal("network", "qemu-system-x86_64"), undefined);
  for (const name of ["sh", "qemu-system-x86_64;sh", "qemu-system-../x", "kvm", ""]) {
    assert(binaryRefusal("network", name), name);
    assertEquals(binaryRefusal("login", name), undefined);
  }
});

Deno.test("a plain path is absolute and names what it seems to name", () => {
  assertEquals(["/a/b", "/a b/ä"].filter((path) => !isPlainPath(path)), []);
  const odd = ["", "/a\rb", "a", "/", "/a/", "/a/../b", "/a/.", "/..", "/a\nb", "/a\0"];
  assertEquals(odd.filter(isPlainPath), []);
});

Deno.test("a variable that has code loaded is refused from the network", () => {
  const refused = (name: string) => environmentRefusals("network", { [name]: "x" }).length;
  assertEquals(["TZ", "LC_ALL", "QEMU_AUDIO_DRV"].map(refused), [0, 0, 0]);
  assertEquals(["LD_PRELOAD", "QEMU_MODULE_DIR", "PATH"].map(refused), [1, 1, 1]);
  assertEquals(environmentRefusals("login", { LD_PRELOAD: "x" }), []);
  assertEquals(environmentRefusals("login", { "A;B": "x" }).length, 1);
});

Deno.test("the command line must wait for the migration, at its QMP socket", () => {
  const problems = (argv: string[]) => {
    const read = readStart({ ...start(), argv });
    return "problems" in read ? read.problems.length : 0;
  };
  const q = "qemu-system-x86_64";
  assertEquals(problems([q, ...QMP, "-incoming", "defer"]), 0);
  assertEquals(problems([q, ...QMP]), 1);
  assertEquals(problems([q, ...QMP, "-incoming", "exec:sh"]), 1);
  assertEquals(problems([q, "-incoming", "defer"]), 1);
  assertEquals(problems([q, ...QMP, "-daemonize", "-incoming", "defer"]), 1);
});

Deno.test("an ordinary guest of the network is not refused", () => {
  assertEquals(
    refusals(
      ...["-blockdev", "driver=qcow2,node-name=d0,file.driver=file,file.filename=/srv/vm/a.qcow2"],
      ...["-device", "virtio-blk-pci,drive=d0", "-netdev", "user,id=n0", "-bios", "bios.bin"],
      ...["-device", "virtio-net-pci,netdev=n0", "-serial", "file:/srv/vm/serial.log"],
      ...["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd"],
    ),
    [],
  );
});

Deno.test("what runs programs, connects to sockets or leaves guests' directories is refused", () => {
  const one = (...more: string[]) => refusals(...more).length;
  assertEquals(one("-netdev", "tap,id=n0,script=/srv/vm/up,downscript=no") > 0, true);
  assertEquals(one("-chardev", "socket,id=c0,path=/srv/vm/other.sock"), 1);
  assertEquals(one("-drive", "file=/etc/shadow,format=raw,readonly=on"), 1);
  assertEquals(one("-drive", "file=/dev/sda,format=raw"), 1);
  assertEquals(one("-chardev", "socket,id=c0,path=/run/docker.sock,reconnect=1"), 1);
  assertEquals(one("-device", "loader,id=l", "-set", "device.l.file=/etc/shadow"), 1);
  assertEquals(one("-fw_cfg", '{"a":",name=opt/a,file=/etc/shadow,b="}'), 1);
  assertEquals(one("-serial", "pty:/etc/cron.d/x"), 1);
  assertEquals(one("-D", "/etc/cron.d/x"), 1);
  assertEquals(one("-serial", "file:../../etc/cron.d/x"), 1);
  assertEquals(one("-virtfs", "local,path=/,mount_tag=x,security_model=none"), 1);
});
