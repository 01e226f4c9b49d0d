import { assertEquals, assertNotEquals } from "@std/assert";
import { lookAt, type RunProgram } from "../../src/host/mod.ts";

const run: RunProgram = async ([program, ...args]) => {
  const { code, stdout, stderr } = await new Deno.Command(program!, { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
};

Deno.test("a symbolic link exists even if its target does not, and is not its target", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [file, link, dangling] = ["-a b ä.raw", "link", "dangling"].map((name) =>
      `${dir}/${name}`
    );
    await Deno.writeTextFile(file!, "x");
    await Deno.symlink(file!, link!);
    await Deno.symlink(`${dir}/none`, dangling!);
    const looks = await lookAt(run, [file!, link!, dangling!, `${dir}/none`]);
    assertEquals(looks.map(({ state }) => state), ["file", "file", "other", "missing"]);
    assertNotEquals(looks[0]!.identity, looks[1]!.identity);
    assertEquals(looks[0]!.changedAt, looks[1]!.changedAt);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
