import { assert, assertEquals } from "@std/assert";
import { project } from "../../../tools/run.ts";
import { inDirectory } from "../../support/in_directory.ts";
import { tool } from "./shells.ts";

/** The highest exposure that a unit may have, as `systemd-analyze security` counts it from 0 to 10. */
const HIGHEST = 3;

const UNITS = [...Deno.readDirSync(project("packaging/systemd"))].map(({ name }) => name)
  .toSorted();

/** Runs `work` with a unit as `make install` writes it. */
async function withUnit(name: string, work: (path: string) => Promise<void>): Promise<void> {
  await inDirectory(async (dir) => {
    const text = await Deno.readTextFile(project(`packaging/systemd/${name}`));
    await Deno.writeTextFile(`${dir}/${name}`, text.replaceAll("@BINDIR@", "/bin"));
    await work(`${dir}/${name}`);
  });
}

Deno.test("there is a systemd unit for each of the two commands that wait for a peer", () => {
  assertEquals(UNITS, ["vmferry-forward@.service", "vmferry-receive@.service"]);
});

for (const name of UNITS) {
  Deno.test(`the exposure of ${name} is at most ${HIGHEST}`, async () => {
    await withUnit(name, async (path) => {
      const { code, output, errors } = await tool("systemd-analyze", [
        ...["security", "--offline=true", "--no-pager", `--threshold=${HIGHEST * 10}`, path],
      ]);
      const level = /Overall exposure level for \S+: ([\d.]+)/.exec(output)?.[1];
      assert(Number(level) <= HIGHEST, `${level} of ${HIGHEST}: ${errors}${output}`);
      assertEquals(code, 0);
    });
  });

  Deno.test(`systemd finds no fault in ${name} beside the program that is not installed`, async () => {
    await withUnit(name, async (path) => {
      const { output, errors } = await tool("systemd-analyze", ["verify", "--man=no", path]);
      const faults = `${output}${errors}`.split("\n").filter((line) =>
        line.includes("vmferry") && !line.includes("/bin/vmferry is not executable")
      );
      assertEquals(faults, []);
    });
  });
}
