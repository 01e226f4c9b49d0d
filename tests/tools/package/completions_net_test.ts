import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../../src/cli/help/flag.ts";
import { flagsOf } from "../../../src/cli/help/flags.ts";
import { bashCompletion } from "../../../tools/package/bash.ts";
import { fishCompletion } from "../../../tools/package/fish.ts";
import { zshCompletion } from "../../../tools/package/zsh.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { type Shell, SHELLS } from "./shells.ts";

/** Runs `work` with a directory that has the completions of each shell, and a file beside them. */
async function withCompletions(work: (dir: string) => Promise<void>): Promise<void> {
  await inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/vmferry.bash`, bashCompletion());
    await Deno.writeTextFile(`${dir}/_vmferry`, zshCompletion());
    await Deno.writeTextFile(`${dir}/vmferry.fish`, fishCompletion());
    await Deno.writeTextFile(`${dir}/root.qcow2`, "");
    await Deno.mkdir(`${dir}/images`);
    await work(dir);
  });
}

/** What a shell offers, each once. */
async function offered(shell: Shell, dir: string, ...words: string[]): Promise<string[]> {
  return [...new Set(await shell(dir, words))].toSorted();
}

for (const [name, shell] of Object.entries(SHELLS)) {
  Deno.test(`${name} completes commands`, async () => {
    await withCompletions(async (dir) => {
      assertEquals(await offered(shell, dir, "vmferry", "rec"), ["receive", "recover"]);
      const all = await offered(shell, dir, "vmferry", "");
      for (const command of COMMANDS) assert(all.includes(command), `${command} of ${all}`);
    });
  });

  Deno.test(`${name} completes exactly the flags of a command`, async () => {
    await withCompletions(async (dir) => {
      for (const command of ["migrate", "status"] as const) {
        const flags = await offered(shell, dir, "vmferry", command, "--");
        const expected = [...flagsOf(command).map((flag) => flag.name), "help"];
        assertEquals(
          flags.map((flag) => flag.replace(/=$/, "")),
          expected.map((flag) => `--${flag}`).toSorted(),
        );
      }
    });
  });

  Deno.test(`${name} completes the values of a flag that takes one of a list`, async () => {
    await withCompletions(async (dir) => {
      assertEquals(await offered(shell, dir, "vmferry", "check", "--sync", ""), ["full", "top"]);
      assertEquals(await offered(shell, dir, "vmferry", "copy", "--format", "q"), ["qcow2"]);
      const compress = await offered(shell, dir, "vmferry", "copy", "--compress", "o");
      assertEquals(compress, ["off", "on"]);
      const listen = await offered(shell, dir, "vmferry", "receive", "--listen", "");
      assertEquals(listen, ["tcp://", "tls://", "unix://", "vmferry://"]);
    });
  });

  Deno.test(`${name} completes files, directories, addresses and settings`, async () => {
    await withCompletions(async (dir) => {
      const file = `${dir}/roo`;
      for (const words of [["copy", file], ["migrate", "--qmp", file]]) {
        const found = await offered(shell, dir, "vmferry", ...words);
        assert(found.length === 1 && found[0]!.endsWith("root.qcow2"), `${words}: ${found}`);
      }
      const dirs = await offered(shell, dir, "vmferry", "migrate", "--run-dir", `${dir}/`);
      assert(dirs.length === 1 && /images\/?$/.test(dirs[0]!), `${dirs}`);
      assertEquals(await offered(shell, dir, "vmferry", "migrate", "s"), ["ssh://"]);
      assert((await offered(shell, dir, "vmferry", "set", "b")).includes("bandwidth="));
    });
  });
}
