import { shellCommand } from "../../../src/launch/mod.ts";
import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, LaunchTrial, migrate } from "./lab/mod.ts";

const PIDFILE = "/run/site.pid";

/** A destination whose QEMU has a command line of its own. */
export const scenario: Scenario = {
  name: "launch_site",
  about: "migrate --launch --start has a script start QEMU at the destination, and --stop end it",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination, shared } = lab;
    const guest = await LabGuest.start(lab);
    const begin = async (name: string, argv: readonly string[]) => {
      const path = `${shared}/${name}`;
      const command = shellCommand([...argv, "-incoming", "defer", "-pidfile", PIDFILE]);
      const lines = [`echo "$VMFERRY_HOOK $VMFERRY_GUEST" >>${shared}/calls`];
      lines.push(`setsid ${command} </dev/null >/dev/null 2>&1 &`);
      await Deno.writeTextFile(path, `${lines.join("\n")}\n`);
      return `sh ${path}`;
    };
    const start = await begin("start", guest.argv);
    const other = await begin("other", guest.argv.map((word) => word === "128" ? "192" : word));
    const stop = `echo "$VMFERRY_HOOK $VMFERRY_GUEST" >>${shared}/calls; kill $(cat ${PIDFILE})`;
    const calls = async () => {
      const text = await Deno.readTextFile(`${shared}/calls`).catch(() => "");
      await Deno.remove(`${shared}/calls`).catch(() => {});
      return text.trim().split("\n").join(", ");
    };
    const assertCalls = async (expected: string) => {
      const got = await calls();
      if (got !== expected) throw new Error(`The commands were called: ${got}; not ${expected}`);
    };
    const args = (command: string) => ["--start", command, "--stop", stop];
    const trial = await LaunchTrial.begin(lab, guest);

    context.note("the plan names the command, which does not run");
    const dry = migrate(lab, ["--dry-run", ...args(start)], "dry run");
    await assertExit(dry, 0);
    const plan = JSON.stringify(await dry.waitEvent("plan"));
    if (!plan.includes(start)) throw new Error(`The plan is ${plan}`);
    await assertCalls("");

    context.note("a command that fails");
    const failing = migrate(lab, args("echo no such unit >&2; exit 5"), "failing");
    await assertFails(failing, 1, /^start-failed: .*ended with 5: "no such unit"/);
    await trial.assertUndone();
    await assertCalls("stop vm1");

    context.note("another machine");
    await assertFails(migrate(lab, args(other), "other"), 3, /^machine/);
    await trial.assertUndone();
    await assertCalls("start vm1, stop vm1");

    context.note("Ctrl-C while disks are copied");
    await lab.limitRate(2);
    const cancelled = migrate(lab, args(start), "cancelled");
    await cancelled.waitEvent("progress", (e) => e.phase === "mirror");
    cancelled.signal("SIGINT");
    await assertFails(cancelled, 5, /SIGINT/);
    await lab.limitRate(null);
    await trial.assertUndone();
    await assertCalls("start vm1, stop vm1");

    context.note("the guest crosses");
    await assertExit(migrate(lab, args(start)), 0);
    await assertCalls("start vm1");
    await guest.assertArrived();
    const kept = await destination.run(["ls", "/var/lib/vmferry"]);
    if (kept.stdout.trim() !== "") throw new Error(`Kept there: ${kept.stdout}`);
  },
};
