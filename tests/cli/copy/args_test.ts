import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

const parse = (line: string) => parseCommandLine(line.split(" ").filter((w) => w !== ""));

function refused(line: string, words: string): void {
  const error = assertThrows(() => parse(line), UsageError);
  assertStringIncludes(error.message, words);
}

Deno.test("copy over ssh starts a receive that takes copies", () => {
  const command = parse("copy /a.img b.qcow2 ssh://root@host2 -- --run-dir /r");
  assert(command.command === "copy");
  assertEquals(command.images, ["/a.img", "b.qcow2"]);
  const args = ["receive", "--copy", "--stdio", "--run-dir", "/r", "--quiet"];
  assertEquals(command.peerArgs, args);
  assertEquals(command.destination.transport, "ssh");
});

Deno.test("every argument but the last is an image, and all are with --ticket-file", () => {
  const command = parse("copy /a /b --ticket-file t");
  assert(command.command === "copy");
  assertEquals(command.images, ["/a", "/b"]);
  assertEquals(command.destination, { transport: "ticket-file", file: "t", at: undefined });
  refused("copy /a /b", "copy needs a DESTINATION");
  refused("copy ssh://host2", "copy needs at least one IMAGE");
  refused("copy /a /a ssh://host2", '"/a" was given twice');
  refused("copy /a tcp://host2:1 --insecure -- --x", "one argument too many");
});

Deno.test("the options of a copy are checked", () => {
  const line = "copy /a ssh://h --map /a=/b --reuse /b --format raw --bandwidth 1M --resume";
  const command = parse(line);
  assert(command.command === "copy");
  assertEquals(command.maps, [{ from: "/a", to: "/b" }]);
  assertEquals([command.reuse, command.format], [["/b"], "raw"]);
  assertEquals([command.bandwidth, command.resume], [1 << 20, true]);
  refused("copy /a ssh://h --map a=b", "expected OLD=NEW");
  refused("copy /a ssh://h --reuse b", "expected an absolute path at the destination");
  refused("copy /a ssh://h --format vmdk", "expected raw or qcow2");
});

Deno.test("receive --copy takes no option of a migration", () => {
  const command = parse("receive --copy --listen tcp://0.0.0.0:7450 --timeout 5");
  assert(command.command === "receive-copy");
  assertEquals(command.timeoutMs, 5_000);
  assertEquals(command.listen, {
    ...{ transport: "ticket", host: "0.0.0.0", port: 7450, ticket: undefined },
  });
  refused("receive --copy --qmp /q --stdio", "--qmp does not go with --copy");
  refused("receive --copy --launch --stdio", "--launch does not go with --copy");
});

Deno.test("--delta names the images that it builds on, and --verify needs nothing", () => {
  const command = parse("copy /a ssh://h --reuse /a --delta --verify");
  assert(command.command === "copy");
  assertEquals([command.delta, command.verify], [true, true]);
  refused("copy /a ssh://h --delta", "--delta needs --reuse PATH");
  const plain = parse("copy /a ssh://h");
  assert(plain.command === "copy");
  assertEquals([plain.delta, plain.verify], [false, false]);
});
