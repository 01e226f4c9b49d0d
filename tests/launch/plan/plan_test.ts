import { assertEquals, assertStringIncludes } from "@std/assert";
import { commandsOf } from "../../../src/launch/plan/commands.ts";
import { translate } from "../../../src/launch/plan/machine.ts";
import { type LaunchPlan, planLaunch } from "../../../src/launch/plan/plan.ts";
import type { LaunchWishes } from "../../../src/launch/plan/wishes.ts";
import type { MachineDescription } from "../../../src/launch/description.ts";
import type { LaunchFileFacts } from "../../../src/rpc/mod.ts";
import { ARGV, description, HERE, HOST, IMAGE, MISSING, WISHES } from "./samples.ts";

interface Given {
  readonly machine?: MachineDescription;
  readonly wishes?: Partial<LaunchWishes>;
  /** Facts that differ, by the file's name. */
  readonly there?: Readonly<Record<string, Partial<LaunchFileFacts>>>;
  readonly host?: Partial<typeof HOST>;
  readonly qmp?: string;
  readonly here?: Partial<typeof HERE>;
}

function plan({ machine = description(), ...given }: Given = {}): LaunchPlan {
  const wishes = { ...WISHES, ...given.wishes };
  const translated = translate(machine, wishes, ["vd0"], given.qmp ?? "/run/vm/q");
  return planLaunch({
    ...{ description: machine, machine: translated, wishes, architecture: "x86_64" },
    disks: [{ name: "vd0", sizeBytes: IMAGE.virtualSize, format: "qcow2" }],
    here: translated.files.map(() => ({ ...HERE, ...given.here })),
    host: { ...HOST, ...given.host },
    there: translated.files.map(({ name }) => ({ ...MISSING, name, ...given.there?.[name] })),
  });
}

const problems = (given: Given) => plan(given).findings.problems.map(({ code }) => code);

function refuses(given: Given, ...words: string[]): void {
  const messages = plan(given).findings.problems.map(({ message }) => message).join("\n");
  for (const word of words) assertStringIncludes(messages, word);
}

Deno.test("a destination without anything gets images, files, directories and QEMU", () => {
  const { findings, images, copies, directories, start } = plan({
    wishes: { maps: [{ from: "/vm", to: "/srv/vm" }, { from: "/run/vm", to: "/run/new" }] },
  });
  assertEquals([findings.problems, findings.warnings], [[], []]);
  assertEquals(images, [{
    ...{ name: "vd0", path: "/srv/vm/a.qcow2", format: "qcow2", sizeBytes: IMAGE.virtualSize },
    ...{ clusterBytes: 65536, compat: "1.1", extendedL2: false, lazyRefcounts: true },
    ...{ allocated: false, backing: null, mode: 0o644 },
  }]);
  assertEquals(copies.map(({ from, path, channel }) => [from, path, channel]), [
    ["/vm/boot/vmlinuz", "/srv/vm/boot/vmlinuz", "file-0"],
  ]);
  assertEquals(directories, ["/run/new"]);
  assertEquals(start, {
    ...{ cwd: "/", environment: { TZ: "UTC" }, user: null, owner: null },
    qmp: "/run/new/q",
    ...{ manager: "daemon", persist: false, argv: start.argv },
  });
  assertEquals(start.argv.slice(-2), ["-incoming", "defer"]);
  assertEquals(start.argv[start.argv.indexOf("-kernel") + 1], "/srv/vm/boot/vmlinuz");
});

Deno.test("problems of both sides are all found at once", () => {
  const found = problems({
    qmp: "/run/other",
    host: { qemu: null, qemuImg: null },
    there: { vd0: { state: "missing", freeBytes: 100 }, kernel: { state: "other" } },
  });
  assertEquals(found, ["not-launchable", "image-unfit", "host-unfit", "host-unfit", "no-room"]);
});

Deno.test("an image that exists is overwritten only by its name in --reuse", () => {
  const there = { vd0: { state: "file" as const, format: "qcow2", sizeBytes: IMAGE.virtualSize } };
  refuses({ there }, "disk vd0: /vm/a.qcow2 exists and has 10 GiB", "--reuse vd0");
  const reused = plan({ there, wishes: { reuse: ["vd0"] } });
  assertEquals(reused.findings.problems, []);
  assertEquals(reused.images, []);
  assertEquals(reused.reuse, [{ name: "vd0", path: "/vm/a.qcow2" }]);
});

Deno.test("an image that exists and is in use is refused for both reasons at once", () => {
  const there = { vd0: { state: "file" as const, usedBy: "qemu-system-x86 (pid 9)" } };
  assertEquals(problems({ there }), ["image-in-use", "image-exists"]);
  assertEquals(problems({ there, wishes: { reuse: ["vd0"] } }), ["image-in-use"]);
});

Deno.test("an image that arrives flat needs the room of its whole chain", () => {
  const backing = { path: "/vm/base.qcow2", format: "qcow2" };
  const machine = description(ARGV, [{ ...IMAGE, backing, chainBytes: 2000 * 2 ** 20 }]);
  const given = (freeBytes: number, sync: "full" | "top" = "full"): Given => ({
    ...{ machine, wishes: { sync } },
    there: { vd0: { state: "missing", freeBytes } },
  });
  refuses(given(2 ** 30), "/vm has 1 GiB free, expected 2.0 GiB for vd0");
  assertEquals(problems(given(2001 * 2 ** 20)), []);
  assertEquals(problems(given(2 ** 30, "top")).includes("no-room"), false);
});

Deno.test("a chain of images never needs more room than the disk is large", () => {
  const machine = description(ARGV, [{ ...IMAGE, chainBytes: 3 * IMAGE.virtualSize }]);
  const there = { vd0: { state: "missing" as const, freeBytes: IMAGE.virtualSize } };
  assertEquals(problems({ machine, there }), []);
});

Deno.test("a reused image must be large enough, of the same format and free", () => {
  const given = (facts: Partial<LaunchFileFacts>): Given => ({
    wishes: { reuse: ["vd0"] },
    there: { vd0: { state: "file", format: "qcow2", sizeBytes: IMAGE.virtualSize, ...facts } },
  });
  refuses(given({ sizeBytes: 2 ** 30 }), "has 1 GiB, the source's disk has 10 GiB");
  refuses(given({ format: "raw" }), "has the format raw, expected qcow2");
  refuses(given({ usedBy: "qemu-system-x86 (pid 9)" }), "qemu-system-x86 (pid 9) has /vm/a.qcow2");
});

Deno.test("the storage of the source is never overwritten, not even with --reuse", () => {
  const there = { vd0: { state: "file" as const, keys: [...HERE.storage.keys] } };
  assertEquals(problems({ there, wishes: { reuse: ["vd0"] } }), ["shared-storage"]);
});

Deno.test("a file that is only read is not sent where it is the same", () => {
  const same = plan({ there: { kernel: { state: "file", sha256: "5a" } } });
  assertEquals([same.copies, same.findings.problems], [[], []]);
  refuses({ there: { kernel: { state: "file", sha256: "5b" } } }, "kernel: ", "SHA-256");
});

Deno.test("a destination must not have an older QEMU, unless the user allows that", () => {
  const host = { qemu: { ...HOST.qemu!, version: "7.2.5" } };
  refuses({ host }, "is QEMU 7.2.5, older than the source's 10.0.2");
  assertEquals(problems({ host, wishes: { allow: ["older-qemu"] } }), []);
  const removed = description([...ARGV, "-runas", "joe"]);
  refuses({ machine: removed }, "QEMU 10.0.2, which does not have -runas joe", "-run-with user=");
  refuses({ host: { qemu: { ...HOST.qemu!, hasMachine: false } } }, "no machine type pc-q35-10.0");
  refuses({ host: { architecture: "aarch64" } }, "host2 is a aarch64");
});

Deno.test("--persist makes a unit, which needs systemd", () => {
  assertEquals(plan({ wishes: { persist: true } }).start.manager, "systemd");
  refuses({ wishes: { persist: true }, host: { systemd: false } }, "which --persist needs");
});

Deno.test("a guest of libvirt is moved by another command", () => {
  const argv = [...ARGV, "-serial", "unix:/var/lib/libvirt/qemu/domain-1-vm/s,server=on,wait=off"];
  refuses({ machine: description(argv) }, "vmferry domain NAME");
});

Deno.test("a disk that is reached by a protocol is not created", () => {
  const remote = { ...IMAGE, name: "vd1", local: false, path: "nbd://h:10809/x" };
  refuses({ machine: description(ARGV, [IMAGE, remote]) }, "disk vd1 is at nbd://h:10809/x");
  assertEquals(
    problems({ machine: description(ARGV, [IMAGE, remote]), wishes: { shared: ["vd1"] } }),
    [],
  );
});

Deno.test("a relative path of a daemon is not guessed", () => {
  refuses({ machine: description([...ARGV, "-daemonize"]) }, "-kernel: the path boot/vmlinuz");
});

Deno.test("a QEMU of a service becomes a transient unit, as it will be started", () => {
  const machine = description();
  const unit = { name: "vm1.service", scope: "system" as const };
  const service = { ...machine, process: { ...machine.process, unit } };
  const { command } = commandsOf(plan({ machine: service })).at(-1)!;
  assertStringIncludes(
    command,
    "systemd-run --quiet --no-ask-password --unit=vmferry-vm_1.service ",
  );
});

Deno.test("QEMU runs in its working directory where the destination has that", () => {
  const there = { cwd: { state: "directory" as const } };
  const maps = [{ from: "/vm", to: "/srv" }];
  assertEquals(plan({ there, wishes: { maps } }).start.cwd, "/srv");
});

Deno.test("two files cannot have one path at the destination", () => {
  refuses(
    { wishes: { diskPaths: [{ name: "vd0", path: "/vm/boot/vmlinuz" }] } },
    "are both at /vm/boot/vmlinuz",
  );
});

Deno.test("with --sync top the image below must be the same at the destination", () => {
  const image = { ...IMAGE, backing: { path: "/base/b.raw", format: "raw" } };
  const machine = description(ARGV, [image]);
  const wishes = { sync: "top" as const, maps: [{ from: "/base", to: "/b" }] };
  refuses({ machine, wishes }, "vd0-backing: /b/b.raw is missing");
  const there = { "vd0-backing": { state: "file" as const, sha256: "5a" } };
  const found = plan({ machine, wishes, there });
  assertEquals(found.findings.problems, []);
  assertEquals(found.images[0]!.backing, { path: "/b/b.raw", format: "raw" });
  assertEquals(plan({ machine }).images[0]!.backing, null);
});

Deno.test("a destination's user can be another one only where vmferry is root", () => {
  const machine = description();
  const user = { uid: 107, name: "qemu", group: "kvm" };
  const other = { ...machine, process: { ...machine.process, user } };
  assertEquals(plan({ machine: other }).start.user, { user: "qemu", group: "kvm" });
  const changing = description([...ARGV, "-run-with", "user=qemu"]);
  const process = { ...changing.process, user };
  const { user: starter, owner } = plan({ machine: { ...changing, process } }).start;
  assertEquals([starter, owner], [null, { user: "qemu", group: "kvm" }]);
  const there = { user: { uid: 1000, name: "u" } };
  assertEquals(plan({ machine: { ...changing, process }, host: there }).start.owner, null);
  refuses({ machine: other, host: { userProblem: "no user qemu" } }, "no user qemu");
});

Deno.test("the plan is printed as commands that a shell reads", () => {
  const lines = commandsOf(plan({
    wishes: { maps: [{ from: "/vm", to: "/my vm" }] },
    there: { vd0: { directory: false }, kernel: { directory: false } },
  })).map(({ side, command }) => `${side}: ${command}`);
  assertEquals(lines.slice(0, 4), [
    "destination: mkdir -p -- '/my vm/boot'",
    "destination: mkdir -p -- '/my vm'",
    "destination: qemu-img create -q -f qcow2 -o cluster_size=65536,compat=1.1,lazy_refcounts=on " +
    "-- '/my vm/a.qcow2' 10737418240",
    "source: scp -p -- /vm/boot/vmlinuz 'host2:/my vm/boot/vmlinuz'",
  ]);
  assertStringIncludes(lines[4]!, "destination: env -C / TZ=UTC setsid ");
  assertStringIncludes(lines[4]!, "-incoming defer");
});

Deno.test("the plan copies files to the login that the user has named", () => {
  const scp = (host: string, user?: string, port?: number) =>
    commandsOf(plan(), { host, user, port }).find(({ side }) => side === "source")?.command;
  const from = "/vm/boot/vmlinuz";
  assertEquals(scp("h", "root"), `scp -p -- ${from} root@h:${from}`);
  assertEquals(scp("fd00::1", undefined, 22), `scp -p -P 22 -- ${from} '[fd00::1]:${from}'`);
});

Deno.test("an encrypted image must be created by its owner", () => {
  const machine = description(ARGV, [{ ...IMAGE, obstacle: "it is encrypted" }]);
  refuses({ machine }, "vmferry cannot create an image like /vm/a.qcow2, because it is encrypted");
});

Deno.test("--sync top is refused for an image that was replaced since the start", () => {
  const machine = description(ARGV, [{ ...IMAGE, active: "/vm/snapshot.qcow2" }]);
  const wishes = { ...WISHES, sync: "top" as const };
  refuses(
    { machine, wishes },
    "/vm/snapshot.qcow2 has replaced /vm/a.qcow2",
    "Leave out --sync top",
  );
});

Deno.test("a --map for none of the guest's files is a warning with its text", () => {
  const warnings = (from: string) =>
    plan({ wishes: { maps: [{ from, to: "/srv" }] } }).findings.warnings;
  assertEquals(warnings("/vm/boot"), []);
  assertEquals(warnings("/"), []);
  assertEquals(warnings("/vn"), [
    "--map /vn=/srv: the guest has no file in /vn, nothing is mapped",
  ]);
});

Deno.test("an image that is only read and has a backing file or a data file is not copied alone", () => {
  const argv = [...ARGV, "-drive", "file=b.qcow2,if=none,id=d1,format=qcow2,readonly=on"];
  const image = { ...IMAGE, name: "vd1", path: "/vm/b.qcow2", readOnly: true };
  const backing = { path: "/vm/base.qcow2", format: "qcow2" };
  assertEquals(problems({ machine: description(argv, [IMAGE, image]) }), []);
  refuses({ machine: description(argv, [IMAGE, { ...image, backing }]) }, "/vm/base.qcow2");
  const dataFile = "/vm/b.raw";
  refuses({ machine: description(argv, [IMAGE, { ...image, dataFile }]) }, "its data in /vm/b.raw");
});
