import { assertRejects } from "@std/assert";
import { SourceChanges } from "../../src/copy/source/changes.ts";
import { runProgram } from "../../src/cli/host/run_program.ts";
import { MigrationError } from "../../src/migrate/mod.ts";
import { inDirectory } from "../support/in_directory.ts";
import { fakeCopyHost } from "./fake_host.ts";

Deno.test("a copy fails if its image, or one below it, is written to meanwhile", async () => {
  await inDirectory(async (dir) => {
    const host = fakeCopyHost({ run: runProgram });
    const [a, base, b] = ["a", "base", "b"].map((name) => `${dir}/${name}`) as [
      ...[string, string, string],
    ];
    for (const path of [a, base, b]) {
      Deno.writeTextFileSync(path, "old");
      Deno.utimeSync(path, 1e9, 1e9);
    }
    const images = [{ path: a, files: [a, base] }, { path: b, files: [b] }];
    for (const path of [a, base, b]) {
      const changes = await SourceChanges.watch(host, images);
      Deno.chmodSync(path, 0o600);
      await changes.requireNone();
      Deno.writeTextFileSync(path, "new");
      const image = path === b ? b : a;
      await assertRejects(() => changes.requireNone(), MigrationError, `${image}: a program`);
    }
  });
});
