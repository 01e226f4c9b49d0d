import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { qmpServers } from "../../../src/cli/host/find_qemu.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { LaunchLab } from "./launch_lab.ts";
import { canBoot, SystemdLab } from "./systemd_lab.ts";

const FAST = { timeoutMs: 20_000 };

/** A launch on a host with systemd, in a directory that its /tmp does not hide. */
async function withSystemd(
  test: (lab: LaunchLab, systemd: SystemdLab) => Promise<void>,
): Promise<void> {
  let booted: SystemdLab | undefined;
  await using lab = await LaunchLab.make("login", (host) => ({
    ...host,
    run: (argv, options) => booted!.run(argv, options),
    // Process ids are those of its namespace.
    serversOf: (path) => qmpServers(booted!.run, path),
  }));
  await using systemd = booted = await SystemdLab.boot(lab.dir);
  await test(lab, systemd);
}

const ignore = !await canBoot();

Deno.test({ name: "under systemd QEMU is a transient unit", ignore }, async () => {
  await withSystemd(async (lab, { run }) => {
    const before = await lab.files();
    const facts = await lab.rpc.call(
      "describeLaunchHost",
      { binary: "qemu-system-x86_64", path: "", machine: "q35", user: null },
      FAST,
    );
    assertEquals([facts.systemd, facts.qemu?.hasMachine], [true, true]);
    const start = { ...lab.start(), manager: "systemd" as const, environment: { TZ: "a $b %c" } };
    await lab.prepare(lab.params({ start }));
    const { started, log } = await lab.launch();
    assertEquals([started, log], [
      "unit vmferry-vm_1.service",
      "journalctl -u vmferry-vm_1.service",
    ]);
    const show = ["systemctl", "show", "vmferry-vm_1.service", "-p", "Restart,Environment,MainPID"];
    const { stdout } = await run(show, FAST);
    assertStringIncludes(stdout, "Restart=no");
    const pid = /MainPID=(\d+)/.exec(stdout)![1]!;
    const environment = await run(["cat", `/proc/${pid}/environ`], FAST);
    assertStringIncludes(environment.stdout, "TZ=a $b %c\0");
    assertEquals(await lab.destination.undo(), []);
    assertEquals(await lab.files(), before);
    const after = await run(["systemctl", "list-units", "--all", "vmferry-*", "--no-legend"], FAST);
    assertEquals(after.stdout, "");
  });
});

Deno.test({
  name: "a unit that dies is reported with its exit code and last words, and is forgotten",
  ignore,
}, async () => {
  await withSystemd(async (lab, { run }) => {
    const before = await lab.files();
    const start = { ...lab.start(["-device", "no-such-device"]), manager: "systemd" as const };
    await lab.prepare(lab.params({ start }));
    const error = await assertRejects(() => lab.launch(), RpcError);
    assertStringIncludes(error.message, "exit code 1");
    assertStringIncludes(error.message, "no-such-device");
    assertEquals(await lab.files(), before);
    const { stdout } = await run(["systemctl", "list-units", "--all", "vmferry-*", "--no-legend"], {
      timeoutMs: 20_000,
    });
    assertEquals(stdout, "");
  });
});

Deno.test({
  name: "a unit whose QEMU ends without an error is reported at once, with its last words",
  ignore,
}, async () => {
  await withSystemd(async (lab) => {
    const before = await lab.files();
    const start = { ...lab.start(["-device", "help"]), manager: "systemd" as const };
    await lab.prepare(lab.params({ start }));
    const begin = performance.now();
    const error = await assertRejects(() => lab.launch(), RpcError);
    assertMatch(error.message, /ended with exit code 0 .* Its last words: ".*name \\?"/);
    assertEquals([performance.now() - begin < 25_000, await lab.files()], [true, before]);
  });
});

Deno.test({ name: "a persistent guest starts at boot, with its arguments", ignore }, async () => {
  await withSystemd(async (lab, { run }) => {
    const odd = 'serial=a"b\\\\c $HOME %h';
    const base = lab.start();
    const argv = base.argv.map((word) =>
      word === "virtio-blk-pci,drive=vd0" ? `${word},${odd}` : word
    );
    const start = { ...base, argv, manager: "systemd" as const, persist: true };
    await lab.prepare(lab.params({ start }));
    await lab.launch();
    assertEquals(await lab.destination.commit(), []);
    const [transient, unit] = ["vmferry-vm_1.service", "vmferry-vm_1-boot.service"];
    const systemctl = async (...args: string[]) => {
      return (await run(["systemctl", ...args], FAST)).stdout.trim();
    };
    assertEquals(await systemctl("is-active", transient), "active");
    assertEquals(await systemctl("is-enabled", unit), "enabled");
    const path = await systemctl("show", unit, "-p", "FragmentPath", "--value");
    const mode = await run(["stat", "-c", "%a", path], FAST);
    assertEquals(mode.stdout.trim(), "600");
    await systemctl("stop", transient);
    const started = await run(["systemctl", "start", unit], FAST);
    assertEquals([started.stderr, await systemctl("is-active", unit)], ["", "active"]);
    const { stdout } = await run(["systemctl", "show", "-p", "MainPID", "--value", unit], FAST);
    const line = await run(["cat", `/proc/${stdout.trim()}/cmdline`], FAST);
    const words = line.stdout.split("\0").slice(1, -1);
    assert(!words.includes("-incoming"));
    assertEquals(words, argv.slice(1, -2));
    await run(["systemctl", "stop", unit], FAST);
  });
});

Deno.test({
  name: "--persist is refused before anything is created if its unit cannot be written",
  ignore,
}, async () => {
  await withSystemd(async (lab, { run }) => {
    const before = await lab.files();
    const start = { ...lab.start(), manager: "systemd" as const, persist: true };
    const prepare = async (script: string) => {
      assertEquals((await run(["sh", "-c", script], FAST)).stderr, "");
      const error = await assertRejects(() => lab.prepare(lab.params({ start })), RpcError);
      assertEquals([error.code, await lab.files()], ["host-unfit", before]);
      return error.message;
    };
    const path = "/etc/systemd/system/vmferry-vm_1-boot.service";
    assertStringIncludes(await prepare(`echo '[Unit]' >${path}`), "vmferry has not written it");
    const readOnly = `rm ${path}; mount --bind /etc /etc; mount -o remount,ro,bind /etc`;
    assertStringIncludes(await prepare(readOnly), `${path} cannot be written`);
    await run(["umount", "/etc"], FAST);
    await lab.prepare(lab.params({ start }));
  });
});
