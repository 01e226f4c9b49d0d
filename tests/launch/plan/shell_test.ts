import { assertEquals, assertThrows } from "@std/assert";
import { shellCommand, ShellWordError, splitWords } from "../../../src/launch/plan/shell.ts";

Deno.test("a command line is read back as it was written", () => {
  const argv = ["qemu", "-name", "vm 1,debug=on", "-drive", "file='/a\"b',x=\\", ""];
  assertEquals(splitWords(shellCommand(argv)), argv);
});

Deno.test("a command line of several lines may have comments and quotes", () => {
  const text = '# the guest\nqemu -m 4G \\\n  -name "a \\"b\\" \\$c"#d\n';
  assertEquals(splitWords(text), ["qemu", "-m", "4G", "-name", 'a "b" $c#d']);
});

Deno.test("the kernel's form of a command line is split at its NUL characters", () => {
  assertEquals(splitWords("qemu\0-name\0$x 'y\0"), ["qemu", "-name", "$x 'y"]);
});

Deno.test("what a shell would expand or run is refused", () => {
  for (
    const text of ["qemu $X", 'qemu "$X"', "qemu `id`", "a; b", "a | b", "a 'b", 'a "b', "a \\"]
  ) {
    assertThrows(() => splitWords(text), ShellWordError, undefined, text);
  }
});
