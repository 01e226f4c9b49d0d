import { assert, assertEquals } from "@std/assert";
import { inDirectory } from "../../support/in_directory.ts";
import { vmferry } from "../../support/program.ts";

Deno.test("copy: --reuse of a path to which no image goes is wrong usage", async () => {
  await inDirectory(async (dir) => {
    Deno.writeTextFileSync(`${dir}/a.img`, "a");
    const reuse = ["--delta", "--reuse", `${dir}/A.img`];
    const { code, stderr } = await vmferry(["copy", `${dir}/a.img`, ...reuse, "ssh://nowhere"]);
    assertEquals(code, 2, stderr);
    assert(stderr.includes(`no image goes to ${dir}/A.img, but to ${dir}/a.img`), stderr);
  });
});
