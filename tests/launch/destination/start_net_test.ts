import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { LaunchLab, QEMU } from "./launch_lab.ts";

const FAST = { timeoutMs: 20_000 };

/** A program in the place of QEMU; the source's path of it counts over ssh. */
async function fake(lab: LaunchLab, script: string): Promise<void> {
  // Only a program that has a version is taken.
  const text = `#!/bin/sh\n[ "$1" = --version ] && exit\n${script}\n`;
  await Deno.writeTextFile(`${lab.dir}/${QEMU}`, text, { mode: 0o755 });
  const start = lab.start();
  await lab.prepare(
    lab.params({ start: { ...start, argv: [`${lab.dir}/${QEMU}`, ...start.argv.slice(1)] } }),
  );
}

Deno.test("QEMU runs as its user, who owns its files, with its own environment", async () => {
  if (Deno.uid() !== 0) return;
  await using lab = await LaunchLab.make();
  await Deno.chmod(lab.dir, 0o755);
  const user = { user: "nobody", group: "nogroup" };
  const environment = { TZ: "a b'c" };
  await lab.prepare(lab.params({ start: { ...lab.start(), user, environment } }));
  await lab.launch();
  const pid = await lab.pid();
  const ps = await runProgram(["ps", "-o", "user=,group=", "-p", `${pid}`], FAST);
  assertEquals(ps.stdout.trim().split(/ +/), ["nobody", "nogroup"]);
  const argv = ["stat", "-c", "%U:%G %a", `${lab.dir}/images/vd 0.qcow2`, `${lab.dir}/run`];
  const stat = await runProgram(argv, FAST);
  assertEquals(stdoutOf(stat), ["nobody:nogroup 640", "nobody:nogroup 755"]);
  const names = (await Deno.readTextFile(`/proc/${pid}/environ`)).split("\0").slice(0, -1);
  // A shell adds its own.
  const own = names.filter((each) => !/^(PATH|HOME|PWD|OLDPWD|SHLVL|_)=/.test(each));
  assertEquals(own, ["TZ=a b'c"]);
});

Deno.test("a user that this host does not have is refused, and nothing is created", async () => {
  await using lab = await LaunchLab.make();
  const before = await lab.files();
  const start = { ...lab.start(), user: { user: "no-such", group: "nogroup" } };
  const error = await assertRejects(() => lab.prepare(lab.params({ start })), RpcError);
  assertEquals(error.code, "host-unfit");
  assertStringIncludes(error.message, "user no-such");
  assertEquals(await lab.files(), before);
});

Deno.test("every problem is in the refusal, and nothing is created", async () => {
  await using lab = await LaunchLab.make("network");
  await Deno.writeTextFile(`${lab.dir}/images`, "");
  const before = await lab.files();
  const start = {
    ...lab.start(["-D", "/etc/cron.d/x"]),
    environment: { LD_PRELOAD: "x" },
    persist: true,
  };
  const error = await assertRejects(() => lab.prepare(lab.params({ start })), RpcError);
  assertEquals(error.problems.length >= 3, true, error.message);
  assertEquals(await lab.files(), before);
});

Deno.test("a cancelled launch ends the QEMU that it waits for", async () => {
  await using lab = await LaunchLab.make();
  await Deno.mkdir(`${lab.dir}/bin`);
  await fake(lab, "echo $$ >>started; exec sleep 300");
  const before = (await lab.files()).filter((line) => line.startsWith(QEMU));
  const launching = assertRejects(() => lab.launch(), RpcError, "by a test");
  while (!(await lab.files()).some((line) => line.startsWith("started"))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const reason = new MigrationError("cancelled", "cancelled", "destination", "by a test");
  await lab.destination.cancel(reason);
  await launching;
  const error = await assertRejects(() => lab.destination.outcome(), MigrationError);
  assertEquals(error.kind, "cancelled");
  const pid = (await Deno.readTextFile(`${lab.dir}/started`)).trim();
  assertEquals((await runProgram(["kill", "-0", pid], FAST)).code, 1);
  assertEquals((await lab.files()).filter((line) => line.startsWith(QEMU)), before);
  assert(!(await lab.files()).some((line) => line.startsWith("images")));
});

Deno.test("a program that cannot be run is reported with its exit code", async () => {
  await using lab = await LaunchLab.make();
  await fake(lab, "echo 'no such\tlibrary' >&2; exit 127");
  await assertRejects(() => lab.launch(), RpcError, "exit code 127");
});

Deno.test("a QEMU that is killed while it starts is reported with the signal", async () => {
  await using lab = await LaunchLab.make();
  await fake(lab, "kill -9 $$");
  await assertRejects(() => lab.launch(), RpcError, "signal 9");
});

function stdoutOf({ stdout }: { readonly stdout: string }): string[] {
  return stdout.trim().split("\n");
}
