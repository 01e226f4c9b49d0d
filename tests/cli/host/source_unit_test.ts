import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  endCommand,
  holdUnit,
  type LeftUnits,
  retireUnits,
} from "../../../src/cli/host/source_unit.ts";
import type { RunProgram } from "../../../src/host/mod.ts";
import type { QemuProcess } from "../../../src/launch/mod.ts";

const UNIT = { name: "vm1.service", scope: "system" } as const;
const ROOT = { uid: 0, name: "root", group: "root" };
const LEFT: LeftUnits = { process: { unit: UNIT, user: ROOT }, own: [], persist: true };

/** The same with another unit. */
const left = (unit: QemuProcess["unit"], change: Partial<LeftUnits> = {}, uid = 0): LeftUnits => ({
  ...{ ...LEFT, process: { unit, user: { ...ROOT, uid } } },
  ...change,
});
const BOOT_UNIT = "vmferry-vm1-boot.service";

interface Answers {
  /** `Restart=` of the unit, and more lines. */
  readonly restart?: string;
  /** The same after vmferry has set it; empty: it can't be set. */
  readonly held?: string;
  /** State of each unit at boot; a missing one is not there. */
  readonly enabled?: Readonly<Record<string, string>>;
  /** Exit code of `systemctl disable`. */
  readonly disable?: number;
}

/** A host with these units. */
function host({ restart = "no", held = "no", enabled = {}, disable = 0 }: Answers) {
  const asked: string[] = [];
  const run: RunProgram = (argv) => {
    const words = argv[0] === "sh" ? ["hold", ...argv.slice(4)] : argv;
    asked.push(words.join(" "));
    const answer = (code: number, stdout: string) =>
      Promise.resolve({ code, stdout, stderr: "read-only\n" });
    if (words[0] === "hold") return answer(held === "" ? 1 : 0, held && `Restart=${held}\n`);
    if (words.includes("show")) return answer(0, `Restart=${restart}\n`);
    if (words.includes("is-enabled")) {
      const state = enabled[words.at(-1)!] ?? "";
      return answer(/enabled|static|transient/.test(state) ? 0 : 1, `${state}\n`);
    }
    return answer(disable, "");
  };
  const changes = () => asked.filter((words) => /^hold| disable /.test(words));
  return { run, changes };
}

Deno.test("a unit that starts the guest at boot is disabled at the source", async () => {
  const { run, changes } = host({ enabled: { "vm1.service": "enabled" } });
  const { messages } = await retireUnits(run, LEFT, 0);
  assertEquals(messages.length, 1);
  assertStringIncludes(messages[0]!, "vm1.service is disabled");
  assertEquals(changes(), ["systemctl disable --quiet -- vm1.service"]);
});

Deno.test("a unit that does not start at boot, a scope and no unit stay as they are", async () => {
  for (const state of ["transient", "static", "disabled", "masked", "indirect", ""]) {
    const { run, changes } = host({ enabled: { "vm1.service": state } });
    const { messages } = await retireUnits(run, LEFT, 0);
    assertEquals([messages, changes()], [[], []], state);
    const without = await retireUnits(run, { ...LEFT, persist: false }, 0);
    assertEquals([without.messages, changes()], [[], []], state);
  }
  const { run, changes } = host({ restart: "always", enabled: { "session-3.scope": "enabled" } });
  await retireUnits(run, left({ ...UNIT, name: "session-3.scope" }), 0);
  await retireUnits(run, left(null), 0);
  assertEquals(changes(), []);
});

Deno.test("a unit that cannot be disabled is reported with the reason", async () => {
  const { run } = host({ enabled: { "vm1.service": "enabled" }, disable: 1 });
  const { messages } = await retireUnits(run, LEFT, 0);
  assertStringIncludes(messages[0]!, "still starts the guest at boot at the source: read-only");
});

Deno.test("a unit stays enabled where the destination does not start the guest at boot, with a warning", async () => {
  const { run, changes } = host({ enabled: { "vm1.service": "enabled" } });
  const { messages } = await retireUnits(run, { ...LEFT, persist: false }, 0);
  assertStringIncludes(messages[0]!, "systemctl disable vm1.service");
  const user = left({ ...UNIT, scope: "user" }, { persist: false });
  assertStringIncludes((await retireUnits(run, user, 0)).messages[0]!, "systemctl --user disable");
  assertEquals(changes(), []);
});

Deno.test("systemd does not restart a QEMU whose guest has left, whatever its unit says", async () => {
  const { run, changes } = host({ restart: "always" });
  const { messages, mustStay } = await retireUnits(run, LEFT, 0);
  assertStringIncludes(messages[0]!, "has Restart=always");
  assertEquals(mustStay, undefined);
  const path = "/run/systemd/system/vm1.service.d/zz-vmferry.conf";
  const properties = "Restart,RestartForceExitStatus";
  assertEquals(changes(), [`hold vm1.service ${path} ${properties}`]);
  const user = left({ ...UNIT, scope: "user" }, {}, 7);
  await retireUnits(run, user, 0);
  assertEquals(
    changes()[1],
    [
      "hold vm1.service /run/user/7/systemd/user/vm1.service.d/zz-vmferry.conf",
      `${properties} --user --machine=7@.host`,
    ].join(" "),
  );
  await retireUnits(run, user, 7);
  assertEquals(changes()[2]?.endsWith(`${properties} --user`), true);
});

Deno.test("a unit that restarts QEMU after an exit status only is held, too", async () => {
  const { run, changes } = host({ restart: "no\nRestartForceExitStatus=133" });
  const { messages } = await retireUnits(run, LEFT, 0);
  assertEquals([messages.length, changes().length], [1, 1]);
  assertStringIncludes(messages[0]!, "has RestartForceExitStatus=133 at the source");
});

Deno.test("a QEMU must not end if systemd would start it again", async () => {
  for (const held of ["", "always"]) {
    const { run } = host({ restart: "always", held });
    const { messages, mustStay } = await retireUnits(run, LEFT, 0);
    assertStringIncludes(mustStay ?? "", "'systemctl stop vm1.service'");
    assertEquals(messages, [mustStay!]);
  }
});

Deno.test("vmferry's own unit at boot is disabled once its guest has left, also without --persist", async () => {
  const { run, changes } = host({
    enabled: { [BOOT_UNIT]: "enabled", "vm1.service": "transient" },
  });
  const change = { own: [BOOT_UNIT], persist: false };
  const unknown = { ...LEFT, ...change, process: undefined };
  const known = [UNIT, { ...UNIT, name: BOOT_UNIT }].map((unit) => left(unit, change));
  for (const each of [unknown, ...known]) {
    const { messages } = await retireUnits(run, each, 0);
    assertEquals(messages, [`${BOOT_UNIT} is disabled at the source`]);
  }
  assertEquals(changes(), Array(3).fill(`systemctl disable --quiet -- ${BOOT_UNIT}`));
});

Deno.test("where nobody knows which host has the guest, its unit is held and stays enabled", async () => {
  const { run, changes } = host({ restart: "always", enabled: { "vm1.service": "enabled" } });
  const { messages } = await holdUnit(run, LEFT.process, 0);
  assertEquals([messages.length, changes().length], [1, 1]);
  assertEquals((await holdUnit(run, undefined, 0)).messages, []);
  const user = { unit: { ...UNIT, scope: "user" } } as const;
  assertEquals(endCommand(user), "systemctl --user disable --now vm1.service");
  assertEquals(endCommand({ unit: { ...UNIT, name: "session-3.scope" } }), undefined);
});
