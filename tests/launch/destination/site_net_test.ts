import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type LaunchHost, settleLaunch } from "../../../src/launch/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { labHost, LaunchLab, QEMU } from "./launch_lab.ts";

/** A host whose user's commands start a QEMU with a disk, and note in `calls` that they ran. */
function withSite(host: LaunchHost, dir: string, qemu = "-incoming defer"): LaunchHost {
  const argv = `${QEMU} -machine q35,accel=tcg -m 64M -display none -nodefaults ${qemu} ` +
    `-qmp unix:${dir}/run/qmp.sock,server=on,wait=off`;
  const site = {
    // QEMU accepts QMP before it handles SIGTERM, and would leave a file of -pidfile when it ends by that.
    start: `echo start >>${dir}.calls; setsid ${argv} </dev/null >/dev/null 2>&1 & ` +
      `echo $! >${dir}.pid`,
    stop: `echo stop >>${dir}.calls; kill $(cat ${dir}.pid)`,
    timeoutMs: 10_000,
  };
  return { ...host, site };
}

async function callsOf({ dir }: LaunchLab): Promise<string[]> {
  const text = await Deno.readTextFile(`${dir}.calls`).catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

/** Launches: the process of `receive` is gone afterwards. */
async function launched(lab: LaunchLab): Promise<void> {
  await lab.prepare(params(lab));
  const { started, log } = await lab.launch();
  assertEquals([started, log], ["the one of --start", ""]);
  lab.isDead = true;
}

function params(lab: LaunchLab) {
  return lab.params({ start: { ...lab.start(), argv: [] } });
}

async function cleanUp({ dir }: LaunchLab): Promise<void> {
  for (const file of [`${dir}.calls`, `${dir}.pid`]) await Deno.remove(file).catch(() => {});
}

Deno.test("the undo stops a QEMU of the user's command and removes what was created", async () => {
  await using lab = await LaunchLab.make("network", withSite);
  const before = await lab.files();
  await lab.prepare(params(lab));
  await lab.launch();
  assert(await lab.pid());
  assertEquals(await lab.destination.undo(), []);
  assertEquals([await lab.pid(), await lab.files()], [undefined, before]);
  assertEquals(await callsOf(lab), ["start", "stop"]);
  await cleanUp(lab);
});

Deno.test("the next run stops a QEMU of the user's command that waits for its guest", async () => {
  await using lab = await LaunchLab.make("login", withSite);
  const before = await lab.files();
  await launched(lab);
  // Its own commands do not count: those of the record do.
  const { forget, left } = await settleLaunch(labHost(lab.dir), lab.record, "unknown");
  assertEquals([forget, left, await lab.pid()], [true, [], undefined]);
  assertEquals([await lab.files(), await callsOf(lab)], [before, ["start", "stop"]]);
  await cleanUp(lab);
});

Deno.test("the next run never stops a QEMU of the user's command that has or may have a guest", async () => {
  await using lab = await LaunchLab.make("login", (host, dir) => withSite(host, dir, "-S"));
  await launched(lab);
  const host = labHost(lab.dir);
  for (const word of ["unknown", "elsewhere"] as const) {
    const { forget, left } = await settleLaunch(host, lab.record, word);
    assertEquals([forget, left.length], [false, 1]);
    assertStringIncludes(left[0]!, "has a guest");
  }
  const record = { ...lab.record, mayHaveGuest: true };
  const { message } = await settleLaunch(host, record, "unknown");
  assertStringIncludes(message, "its files stay");
  assert(await lab.pid());
  assertEquals(await callsOf(lab), ["start"]);
  await cleanUp(lab);
});

Deno.test("the next run does not run --stop when no QEMU answers", async () => {
  await using lab = await LaunchLab.make("login", withSite);
  const before = await lab.files();
  await launched(lab);
  Deno.kill((await lab.pid())!, "SIGTERM");
  while (await lab.pid()) await new Promise((resolve) => setTimeout(resolve, 20));
  const { forget, left } = await settleLaunch(labHost(lab.dir), lab.record, "unknown");
  assertEquals([forget, left, await lab.files()], [true, [], before]);
  assertEquals(await callsOf(lab), ["start"]);
  await cleanUp(lab);
});

Deno.test("a QEMU that answers before the user's command runs is refused and not stopped", async () => {
  await using lab = await LaunchLab.make("login", withSite);
  await lab.prepare(params(lab));
  using _other = Deno.listen({ transport: "unix", path: `${lab.dir}/run/qmp.sock` });
  const error = await assertRejects(() => lab.launch(), RpcError);
  assertEquals(error.code, "already-started");
  assertEquals(await callsOf(lab), []);
});
