import { assertEquals } from "@std/assert";
import { commandsOf } from "../../../src/launch/plan/commands.ts";
import { translate } from "../../../src/launch/plan/machine.ts";
import { planLaunch } from "../../../src/launch/plan/plan.ts";
import { ARGV, description, HERE, HOST, IMAGE, MISSING, WISHES } from "./samples.ts";

const SITE = { start: "systemctl start qemu-incoming@vm1", timeoutMs: 30_000 };

function plan(host: Partial<typeof HOST> = {}, persist = false) {
  const machine = description([...ARGV, "-snapshot"]);
  const maps = [{ from: "/run", to: "/run/new" }];
  const wishes = { ...WISHES, maps, persist };
  const translated = translate(machine, wishes, ["vd0"], "/run/vm/q", true);
  return planLaunch({
    ...{ description: machine, machine: translated, wishes, architecture: "x86_64" },
    disks: [{ name: "vd0", sizeBytes: IMAGE.virtualSize, format: "qcow2" }],
    here: translated.files.map(() => HERE),
    host: { ...HOST, qemu: null, systemd: false, site: SITE, ...host },
    there: translated.files.map(({ name, use }) => ({
      ...{ ...MISSING, name },
      usedBy: use === "socket" ? "qemu (pid 1)" : null,
    })),
  });
}

Deno.test("a destination with a start command needs neither the source's binary nor its options", () => {
  const { findings, start, images } = plan();
  assertEquals(findings.problems, []);
  assertEquals(findings.warnings.filter((text) => text.includes("-snapshot")).length, 1);
  assertEquals([start.argv, start.qmp], [[], "/run/new/vm/q"]);
  assertEquals(images.map(({ path }) => path), [IMAGE.path]);
});

Deno.test("a plan ends with the destination's own start command", () => {
  assertEquals(commandsOf(plan()).at(-1), { side: "destination", command: SITE.start });
});

Deno.test("a destination with a start command refuses --persist and another architecture", () => {
  assertEquals(plan({}, true).findings.problems.map(({ code }) => code), ["host-unfit"]);
  const other = plan({ architecture: "aarch64" });
  assertEquals(other.findings.problems.map(({ code }) => code), ["host-unfit"]);
});
