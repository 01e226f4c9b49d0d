import { assert } from "@std/assert";
import { FLAGS } from "../../src/cli/help/flags.ts";
import { helpText } from "../../src/cli/help/help.ts";
import { TRANSPORTS } from "../../src/transport/mod.ts";

const USAGE = await Deno.readTextFile(new URL("../../docs/usage.md", import.meta.url));

Deno.test("the help and docs/usage.md show the address and the flags of every transport", () => {
  for (const { form, flags } of TRANSPORTS) {
    assert(helpText(undefined).includes(form), `${form} in vmferry --help`);
    assert(USAGE.includes(`\`${form}\``), `${form} in docs/usage.md`);
    for (const { name } of flags) {
      const commands = FLAGS.find((flag) => flag.name === name)?.commands ?? [];
      assert(commands.length > 0, `--${name} is a flag of some command`);
      for (const command of commands) {
        assert(helpText(command).includes(`--${name} `), `--${name} in the help of ${command}`);
      }
    }
  }
});
