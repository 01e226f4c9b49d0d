import { assert, assertEquals } from "@std/assert";
import { forDestination, type QemuOption } from "../../../src/launch/command/mod.ts";
import { type OptionRule, OPTIONS } from "../../../src/launch/command/option_table.ts";

const rows = Object.entries(OPTIONS).filter(([, { alias }]) => alias === undefined);

function translate(name: string, { syntax }: OptionRule) {
  const value = syntax === null ? null : syntax === "character-device" ? "null" : "x";
  const option: QemuOption = { name, value };
  const display = { name: "display", value: "none" };
  const translated = forDestination({ binary: "qemu", options: [option, display] }, {
    removed: [],
    added: [],
  });
  return { option, ...translated };
}

Deno.test("an option is kept, left out, replaced or refused as the table says", () => {
  for (const [name, rule] of rows) {
    // expandConfig() puts other options in its place before.
    if (name === "readconfig") continue;
    const { option, command, problems } = translate(name, rule);
    const stays = command.options.some((o) => o.name === name && o.value === option.value);
    switch (rule.effect) {
      case "keep":
        assert(stays, `${name} is not kept`);
        break;
      case "drop":
      case "replace":
        assert(!stays, `${name} stays`);
    }
    if (rule.effect === "depends") continue;
    assertEquals(problems.length, rule.effect === "refuse" ? 1 : 0, `${name}: ${problems}`);
  }
});

Deno.test("an option that is not just kept has a note", () => {
  const silent = rows.filter(([, { effect, note }]) => effect !== "keep" && note === undefined);
  assertEquals(silent.map(([name]) => name), []);
});

Deno.test("a note is the second half of a message: no capital at its beginning, no full stop", () => {
  for (const [name, { note }] of Object.entries(OPTIONS)) {
    if (note === undefined) continue;
    assert(/^(?:[^A-Z]|QEMU|QMP|Xen|VNC)/.test(note) && !note.endsWith("."), `${name}: ${note}`);
  }
});
