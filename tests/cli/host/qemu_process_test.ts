import { assertEquals, assertRejects } from "@std/assert";
import { encodeBase64 } from "@std/encoding/base64";
import { describeProcess, QemuProcessError } from "../../../src/cli/host/qemu_process.ts";
import type { RunProgram } from "../../../src/host/mod.ts";

/** A host whose script prints `report`, and whose systemd says that `main` is the unit's process. */
function host(report: readonly string[], main = "0"): RunProgram {
  return (argv) => {
    const stdout = argv[0] === "systemctl" ? `${main}\n` : report.join("\n");
    return Promise.resolve({ code: 0, stdout, stderr: "" });
  };
}

const coded = (text: string) => encodeBase64(text);
const PROCESS = [
  ...["hidden\t", "pid\t4711", `argv\t${coded("qemu-system-x86_64\0")}`, "environ\t"],
  ...[`exe\t${coded("/usr/bin/qemu-system-x86_64\n")}`, `cwd\t${coded("/\n")}`, "parent\t4000"],
  ...["user\t0\troot", "group\t0\troot", "mounts\tsame", "cgroup\t0::/system.slice/vm1.service"],
];

async function refused(
  report: readonly string[],
  failure: QemuProcessError["failure"],
  words: string,
): Promise<void> {
  const run = describeProcess(host(report), "/run/vm1.qmp");
  const error = await assertRejects(() => run, QemuProcessError, words);
  assertEquals(error.failure, failure);
}

Deno.test("a QEMU of another user is refused with whom to be", async () => {
  await refused(
    ["hidden\t 12 13"],
    "denied",
    "as QEMU's user or as root, or give its command line",
  );
});

Deno.test("a socket without a QEMU is refused", async () => {
  await refused(["hidden\t"], "not-found", "no QEMU of this host listens on /run/vm1.qmp");
});

Deno.test("another program that listens on the socket is refused by its name", async () => {
  const proxy = PROCESS.map((line) =>
    line.replace(/^argv.*/, `argv\t${coded("socat\0/run/qemu.sock\0")}`)
      .replace(/^exe.*/, `exe\t${coded("/usr/bin/socat1\n")}`)
  );
  await refused(proxy, "not-found", "socat1 (pid 4711) listens on /run/vm1.qmp, expected QEMU");
});

Deno.test("two processes with one socket are refused by their ids", async () => {
  await refused(["hidden\t", "pid\t1", "pid\t2"], "several", "processes 1, 2 share");
});

Deno.test("a QEMU in a container is refused, one with mounts of its own is not", async () => {
  const mounts = (word: string) =>
    PROCESS.map((line) => line.replace("mounts\tsame", `mounts\t${word}`));
  await refused(mounts("foreign"), "container", "another root directory");
  const { otherMounts } = await describeProcess(host(mounts("private")), "/run/vm1.qmp");
  assertEquals(
    otherMounts,
    "QEMU (pid 4711) has a mount namespace of its own, such as by PrivateTmp= of its unit",
  );
  assertEquals((await describeProcess(host(PROCESS), "/run/vm1.qmp")).otherMounts, null);
});

Deno.test("the unit is QEMU's only if QEMU or its parent is the unit's main process", async () => {
  const unit = async (main: string) =>
    (await describeProcess(host(PROCESS, main), "/q")).unit?.name;
  assertEquals(await unit("4711"), "vm1.service");
  assertEquals(await unit("4000"), "vm1.service", "a script starts it");
  assertEquals(await unit("612"), undefined, "such as sshd, whose shell started QEMU");
  assertEquals(await unit("0"), "vm1.service", "systemd does not say");
});
