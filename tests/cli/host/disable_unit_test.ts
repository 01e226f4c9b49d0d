import { assertEquals, assertStringIncludes } from "@std/assert";
import { disableUnit } from "../../../src/cli/host/disable_unit.ts";
import type { RunProgram } from "../../../src/host/mod.ts";

const UNIT = { name: "vm1.service", scope: "system" } as const;

/** A systemctl whose verbs end with these codes. */
function systemctl(codes: Readonly<Record<string, number>>): { run: RunProgram; asked: string[] } {
  const asked: string[] = [];
  const run: RunProgram = (argv) => {
    asked.push(argv.join(" "));
    const verb = argv.find((word) => word in codes) ?? "";
    return Promise.resolve({ code: codes[verb] ?? 0, stdout: "", stderr: "read-only\n" });
  };
  return { run, asked };
}

Deno.test("a unit that starts the guest at boot is disabled at the source", async () => {
  const { run, asked } = systemctl({ "is-enabled": 0, disable: 0 });
  assertStringIncludes(await disableUnit(run, UNIT, true) ?? "", "vm1.service is disabled");
  assertEquals(asked, [
    "systemctl is-enabled --quiet -- vm1.service",
    "systemctl disable --quiet -- vm1.service",
  ]);
});

Deno.test("a unit that does not start at boot, a scope and no unit stay as they are", async () => {
  const { run, asked } = systemctl({ "is-enabled": 1 });
  assertEquals(await disableUnit(run, { ...UNIT, scope: "user" }, true), undefined);
  assertEquals(asked, ["systemctl --user is-enabled --quiet -- vm1.service"]);
  assertEquals(await disableUnit(run, { ...UNIT, name: "session-3.scope" }, true), undefined);
  assertEquals(await disableUnit(run, null, true), undefined);
});

Deno.test("a unit that cannot be disabled is reported with the reason", async () => {
  const { run } = systemctl({ "is-enabled": 0, disable: 1 });
  assertStringIncludes(await disableUnit(run, UNIT, true) ?? "", "still starts the guest at boot");
});

Deno.test("a unit stays enabled where the destination does not start the guest at boot, with a warning", async () => {
  const { run, asked } = systemctl({ "is-enabled": 0, disable: 0 });
  const user = { ...UNIT, scope: "user" } as const;
  assertStringIncludes(await disableUnit(run, UNIT, false) ?? "", "systemctl disable vm1.service");
  assertStringIncludes(await disableUnit(run, user, false) ?? "", "systemctl --user disable vm1");
  assertEquals(asked.filter((command) => command.includes("disable")), []);
});
