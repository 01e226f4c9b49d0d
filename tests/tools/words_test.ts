import { assertEquals } from "@std/assert";
import { findPhrases } from "../../tools/check/words.ts";

const REJECTED = [
  "the mirrors are in step and the guest is held",
  "What of it is left is removed by the next run",
  "whoever had that is turned away",
  "a migration that came to nothing",
  "the source is told why",
  "disks are taken back, and the guest goes on",
  "the link went away while the memory was crossing",
  "a folder that another process holds",
];

const ACCEPTED = [
  "The mirrors are ready and the guest is paused.",
  "The next run removes the rest.",
  "vmferry refuses a second client.",
  "The migration failed.",
  "the connection was lost while RAM was crossing",
  "a linker, a stepping and a teller are no matter",
];

Deno.test("each private phrase is found, with the words to use instead", () => {
  for (const text of REJECTED) {
    const [first] = findPhrases(`fine\n${text}`);
    assertEquals(first?.line, 2, text);
  }
});

Deno.test("plain sentences pass", () => {
  assertEquals(ACCEPTED.filter((text) => findPhrases(text).length > 0), []);
});
