import { assert, assertEquals } from "@std/assert";
import { explore } from "./model/explore.ts";
import { RULES } from "./model/rules.ts";
import { SHIPPED } from "./model/world.ts";

/** How often in all a tool is killed, a session is cut, a write fails, a QEMU ends. */
const BAD_LUCK = 3;

const ends = new Set<string>();
const explored = explore(SHIPPED, BAD_LUCK, ({ source, destination }) => {
  ends.add(`${source.qemu}/${destination.qemu}`);
});

Deno.test("the model reaches every combination of guests but the forbidden one", () => {
  console.log(`${explored.worlds} worlds explored, with any ${BAD_LUCK} pieces of bad luck`);
  assert(explored.worlds > 100_000);
  assert(explored.arrives, "the guest arrives");
  for (const here of ["running", "stopped", "gone"]) {
    for (const there of ["empty", "incoming", "loaded", "running", "gone", "quit"]) {
      // RAM's stream is opened before QEMU has anything to send.
      const isNever = ["running/running", "stopped/empty"].includes(`${here}/${there}`);
      assertEquals(ends.has(`${here}/${there}`), !isNever, `${here}/${there}`);
    }
  }
});

for (const { rule } of RULES) {
  Deno.test(`in every order of actions, messages and bad luck: ${rule}`, () => {
    const { broken } = explored;
    if (broken?.rule === rule) throw new Error(broken.story.join("\n"));
  });
}
