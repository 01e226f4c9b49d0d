import { assertEquals, assertThrows } from "@std/assert";
import { encodeBase64 } from "@std/encoding/base64";
import { parseQemuReport, ReportError, unitOf } from "../../../src/cli/host/qemu_report.ts";

interface Found {
  readonly argv?: readonly string[];
  readonly environ?: readonly string[];
  readonly exe?: string;
  readonly more?: readonly string[];
}

const nul = (words: readonly string[]) => encodeBase64(words.map((word) => `${word}\0`).join(""));

/** What the script prints of one process. */
function report({ argv = ["qemu-system-x86_64"], environ = [], exe, more = [] }: Found): string {
  return [
    ...["hidden\t", "pid\t4711", `argv\t${nul(argv)}`, `environ\t${nul(environ)}`],
    `exe\t${encodeBase64(`${exe ?? "/usr/bin/qemu-system-x86_64"}\n`)}`,
    `cwd\t${encodeBase64("/srv/vm 1\n")}`,
    ...["parent\t1", "user\t107\tqemu", "group\t36\t", "mounts\tsame", ...more],
  ].join("\n") + "\n";
}

const processOf = (found: Found) => parseQemuReport(report(found)).process!;

Deno.test("arguments keep newlines, tabs, empty words and every UTF-8 character", () => {
  const argv = ["qemu-system-x86_64", "-name", "a\nb\tc", "", "ü,,€", " "];
  assertEquals(processOf({ argv }).argv, argv);
});

Deno.test("an argument that is not UTF-8 is an error that names the one before", () => {
  const bytes = [...new TextEncoder().encode("qemu\0-name\0"), 0xff, 0];
  const text = report({}).replace(/^argv\t.*$/m, `argv\t${encodeBase64(new Uint8Array(bytes))}`);
  assertThrows(() => parseQemuReport(text), ReportError, 'argument 2, after "-name", is not UTF-8');
});

Deno.test("of the environment only variables that matter to QEMU anywhere are kept", () => {
  const environ = [
    ...["TZ=Europe/Berlin", "QEMU_AUDIO_DRV=none", "QEMU_MODULE_DIR=/opt", "PASSWORD=secret"],
    ...["LD_PRELOAD=/x.so", "NOTIFY_SOCKET=/run/x", "MALLOC_ARENA_MAX=2", "TMPDIR=/a=b", "TZX=1"],
  ];
  assertEquals(processOf({ environ }).environment, {
    "TZ": "Europe/Berlin",
    "QEMU_AUDIO_DRV": "none",
    "MALLOC_ARENA_MAX": "2",
    "TMPDIR": "/a=b",
  });
});

Deno.test("an executable that was replaced by an upgrade is found by its old path", () => {
  const { binary, replaced } = processOf({ exe: "/usr/bin/qemu-system-x86_64 (deleted)" });
  assertEquals([binary, replaced], ["/usr/bin/qemu-system-x86_64", true]);
  assertEquals(processOf({}).replaced, false);
});

Deno.test("a QEMU that the dynamic loader was called with is the program, not the loader", () => {
  const loader = ["/opt/ld-linux-x86-64.so.2", "--argv0", "/opt/qemu-system-x86_64"];
  const argv = [...loader, "--library-path", "/opt/lib", "/opt/bin/qemu-system-x86_64", "-S"];
  const { binary, argv: words } = processOf({ argv, exe: "/opt/ld-linux-x86-64.so.2" });
  assertEquals(binary, "/opt/bin/qemu-system-x86_64");
  assertEquals(words, ["/opt/qemu-system-x86_64", "-S"]);
});

Deno.test("a user has the host's name, a group without one its number", () => {
  assertEquals(processOf({}).user, { uid: 107, name: "qemu", group: "36" });
  assertEquals(processOf({}).cwd, "/srv/vm 1");
});

Deno.test("a descriptor of KVM is QEMU's own, a pipe was inherited", () => {
  const more = ["anon_inode:kvm-vm", "/dev/kvm", "pipe:[12]", "/srv/a lock"]
    .map((target, i) => `fd\t${i + 5}\t${encodeBase64(`${target}\n`)}`);
  assertEquals(processOf({ more }).descriptors, [
    { fd: 7, target: "pipe:[12]" },
    { fd: 8, target: "/srv/a lock" },
  ]);
});

Deno.test("without exactly one readable process there is no description", () => {
  assertEquals(parseQemuReport("hidden\t 12 13\n"), { pids: [], hidden: [12, 13], process: null });
  assertEquals(parseQemuReport("hidden\t\npid\t1\npid\t2\n"), {
    ...{ pids: [1, 2], hidden: [], process: null },
  });
  assertEquals(parseQemuReport("hidden\t\npid\t1\nargv\t\n").process, null);
});

Deno.test("a service is a unit, a session or scope is none", () => {
  const v1 = ["11:cpu:/", "1:name=systemd:/system.slice/vm1.service", "0::/system.slice/x.scope"];
  assertEquals(unitOf(v1), { name: "vm1.service", scope: "system" });
  const system = (name: string) => ({ name, scope: "system" as const });
  assertEquals(
    unitOf(["0::/system.slice/system-vm.slice/vm@a.service/emulator"]),
    system("vm@a.service"),
  );
  assertEquals(unitOf(["0::/user.slice/user-0.slice/session-1.scope"]), null);
  assertEquals(unitOf(["0::/machine.slice/machine-qemu\\x2d1.scope/libvirt/emulator"]), null);
  assertEquals(unitOf(["0::/"]), null);
  const container = ["9:name=systemd:/", "0::/system.slice/vm1.service"];
  assertEquals(unitOf(container), { name: "vm1.service", scope: "system" });
  const login = ["9:name=systemd:/user.slice/session-1.scope", "0::/system.slice/vm1.service"];
  assertEquals(unitOf(login), null);
  assertEquals(unitOf([]), null);
  assertEquals(unitOf(["0::/user.slice/user-1.slice/user@1.service/init.scope"]), null);
  assertEquals(unitOf(["0::/user.slice/user-1.slice/user@1.service/app.slice/vm.service"]), {
    ...{ name: "vm.service", scope: "user" as const },
  });
});
