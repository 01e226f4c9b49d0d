import { assertEquals } from "@std/assert";
import { CAPABILITIES, PARAMETERS } from "../../src/migrate/settings_table.ts";
import { DOC, generatedPart, settingsTables } from "../../tools/docs/migration_settings.ts";
import { IN_KIT } from "../support/in_kit.ts";
import { askQemu, type QemuSettings } from "../support/qemu_settings.ts";

/** Text without the formatter's blanks and dashes. */
const plain = (text: string) => text.replace(/-{3,}/g, "---").replace(/\s+/g, " ").trim();

Deno.test("the table of migration settings in docs/qemu.md is what the source says (make docs)", async () => {
  assertEquals(plain(generatedPart(await Deno.readTextFile(DOC))), plain(settingsTables()));
});

for (const version of ["7.2", "10.0", "11.1"]) {
  const name = `every migration capability and parameter of QEMU ${version} has a row in the table`;
  Deno.test({ name, ignore: IN_KIT && version !== "7.2" }, async () => {
    const { capabilities, parameters } = await askQemu(version);
    const missing = [
      ...capabilities.filter((name) => !Object.hasOwn(CAPABILITIES, name)),
      ...parameters.filter((name) => !Object.hasOwn(PARAMETERS, name)),
    ];
    assertEquals(missing, []);
    assertEquals(wrongVersions({ capabilities, parameters }, version), []);
  });
}

/** Rows whose versions say something else than this QEMU. */
function wrongVersions({ capabilities, parameters }: QemuSettings, version: string): string[] {
  const rows = [...Object.entries(CAPABILITIES), ...Object.entries(PARAMETERS)];
  const order = (text: string) => {
    const [major = 0, minor = 0] = text.split(".").map(Number);
    return major * 100 + minor;
  };
  return rows.flatMap(([name, { since = "6.2", until = "999.0" }]) => {
    const expected = order(since) <= order(version) && order(version) < order(until);
    const has = [...capabilities, ...parameters].includes(name);
    return has === expected ? [] : [`${name} is ${has ? "" : "not "}in QEMU ${version}`];
  });
}
