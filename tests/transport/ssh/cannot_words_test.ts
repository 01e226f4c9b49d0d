import { assertEquals } from "@std/assert";
import { cannotWords } from "../../../src/transport/ssh/cannot_words.ts";
import { CannotCarryError } from "../../../src/transport/ssh/carry.ts";

const PROGRAM = {
  version: "1.0.0",
  machines: ["x86_64", "amd64"],
  read: () => Promise.reject(new Error("not read")),
};
const OR_INSTALL = "or install vmferry there, or give its path with --remote-command PATH";

function words(why: string, detail = "", noFile?: string): string {
  return cannotWords(new CannotCarryError(why, detail, noFile), "host2", PROGRAM);
}

Deno.test("the message for a host that can't take the program names it, the reason and a way out", () => {
  assertEquals(
    words("machine", "aarch64"),
    "This vmferry can't run on host2: the CPU architecture there is aarch64, here it is x86_64. " +
      "Choose a host of the same architecture",
  );
  assertEquals(
    words("room", "10300 146432 /root/.cache/with a space"),
    "host2 has no vmferry 1.0.0, and no room for a copy in /root/.cache/with a space: " +
      `143 MiB are needed, 10 MiB are free. Free some space, ${OR_INSTALL}`,
  );
  assertEquals(
    words("tool", "sha256sum"),
    `host2 has no vmferry 1.0.0, and no sha256sum to check a copy with. Install that, ${OR_INSTALL}`,
  );
});

Deno.test("where there is nothing to copy, the message says why, and names another version there", () => {
  const why = "it runs from its sources";
  const way =
    "Install that version there, or give the path of another one with --remote-command PATH";
  assertEquals(
    words("absent", "/usr/bin/vmferry", why),
    "host2 has no vmferry 1.0.0 (its /usr/bin/vmferry is of another version), and this one can't be " +
      `copied: ${why}. ${way}`,
  );
  assertEquals(
    words("absent", "", why),
    `host2 has no vmferry 1.0.0, and this one can't be copied: ${why}. ${way}`,
  );
});

Deno.test("words of the other host can't move the cursor", () => {
  assertEquals(words("run", "a\x1b[2Jb").includes("\x1b"), false);
  assertEquals(words("new\x1bword").includes("\x1b"), false);
});
