import { assert, assertEquals } from "@std/assert";
import { explore } from "./model/explore.ts";
import { HOPE, RULES } from "./model/rules.ts";
import { SHIPPED } from "./model/world.ts";

/** How often in all a tool is killed, a session is cut, a write fails, a QEMU ends. */
const BAD_LUCK = 3;

/** Without post-copy, and where the source's QEMU may go on by it. */
for (const postcopy of [false, true]) {
  const how = postcopy ? "with post-copy" : "without post-copy";
  const ends = new Set<string>();
  const explored = explore(SHIPPED, { badLuck: BAD_LUCK, postcopy }, ({ source, destination }) => {
    ends.add(`${source.qemu}/${destination.qemu}`);
    if (source.migration === "paused" && !destination.whole) {
      ends.add(`${source.state}/${destination.state}`);
    }
  });

  Deno.test(`${how} the model reaches every combination of guests but the forbidden one`, () => {
    console.log(
      `${explored.worlds} worlds explored ${how}, with any ${BAD_LUCK} pieces of bad luck`,
    );
    assert(explored.worlds > 100_000);
    assert(explored.arrives, "the guest arrives");
    for (const here of ["running", "stopped", "gone"]) {
      for (const there of ["empty", "incoming", "loaded", "running", "gone", "quit"]) {
        // RAM's stream is opened before QEMU has anything to send.
        const isNever = ["running/running", "stopped/empty"].includes(`${here}/${there}`);
        assertEquals(ends.has(`${here}/${there}`), !isNever, `${here}/${there}`);
      }
    }
    // RAM's stream breaks before the handover, in it and after it.
    for (const states of ["switchover/loaded", "handover/starting", "postcopy/postcopy"]) {
      assertEquals(ends.has(states), postcopy, states);
    }
  });

  for (const { rule } of [...RULES, HOPE]) {
    Deno.test(`${how} in every order of actions, messages and bad luck: ${rule}`, () => {
      const { broken } = explored;
      if (broken?.rule === rule) throw new Error(broken.story.join("\n"));
    });
  }
}
