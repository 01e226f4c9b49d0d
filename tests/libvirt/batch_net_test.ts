import { assert, assertEquals } from "@std/assert";
import { runProgram } from "../../src/cli/host/run_program.ts";
import { joinCommands, splitAnswers } from "../../src/libvirt/batch.ts";

/** libvirt's own driver for tests needs no daemon. */
const VIRSH = ["virsh", "--quiet", "--connect", "test:///default"];
const ignore = await runProgram(["virsh", "--version"], { timeoutMs: 10_000 })
  .then(({ code }) => code !== 0, () => true);

function together(commands: readonly (readonly string[])[]) {
  return runProgram([...VIRSH, joinCommands(commands, "M")], { timeoutMs: 10_000 });
}

Deno.test({
  name: "virsh reads the words of a batch as they were, whatever they contain",
  ignore,
  async fn() {
    const nasty = [
      "a; list",
      "it's",
      '"',
      "\\",
      "\\'; x",
      "#x",
      "a\nlist",
      "$(id)",
      "größe 🙂",
      " ",
    ];
    const result = await together([["echo", ...nasty], ["list", "--name"], [
      "echo",
      "--",
      "--xml",
    ]]);
    assertEquals(splitAnswers(result, 3, "M"), [nasty.join(" "), "test\n", "--xml"]);
  },
});

Deno.test({
  name: "a command that fails in a batch spoils it, wherever it stands",
  ignore,
  async fn() {
    const good = ["list", "--name"];
    for (
      const bad of [["dumpxml", "--domain", "nobody"], ["list", "--no-such-option"], ["nonsense"]]
    ) {
      for (const commands of [[bad, good, good], [good, bad, good], [good, good, bad]]) {
        const result = await together(commands);
        assertEquals(splitAnswers(result, 3, "M"), undefined, bad.join(" "));
        assert(result.stderr.includes("error"), result.stderr);
      }
    }
  },
});
