import { assertEquals, assertThrows } from "@std/assert";
import {
  CommandLineError,
  forDestination,
  parseCommand,
  parseOption,
  pathsOf,
  programsIn,
  withPaths,
  writeCommand,
} from "../../../src/launch/command/mod.ts";
import { OPTIONS } from "../../../src/launch/command/option_table.ts";
import { Dice } from "../../fuzz/dice.ts";

const WORDS = [
  ...[",", ",,", "=", ":", ".", "/", "{", "}", "[", "]", '"', "'", "\\", "on", "no", "json:"],
  ...[
    "file",
    "filename",
    "driver",
    "path",
    "type",
    "tap",
    "user",
    "unix:",
    "tcp:",
    "mon:",
    "stdio",
  ],
  ...["server", "socket", "backend", "id", "a", "/dev/fdset/1", "nbd:unix:", "fat:", "blkdebug:"],
  ...["qcow2", "script", "guestfwd", "cmd:", "read-only", "node-name", "device.a.x", "set", "vnc"],
  ...['{"driver":"', '","', '":"', '"}', "chardev:", "fd", "x", "-", "=="],
];

Deno.test("a random command line is parsed, or refused as one that cannot be", () => {
  const dice = new Dice(20);
  const names = Object.keys(OPTIONS).filter((name) => name !== "drive-file");
  const pick = <T>(list: readonly T[]): T => list[dice.below(list.length)]!;
  let parsed = 0;
  for (let i = 0; i < 5_000; i++) {
    const argv = ["qemu"];
    for (let n = dice.below(4); n >= 0; n--) {
      const name = pick(names);
      argv.push(`-${name}`);
      if (OPTIONS[name]!.syntax === null) continue;
      argv.push(Array.from({ length: dice.below(10) }, () => pick(WORDS)).join(""));
    }
    const command = parseCommand(argv);
    assertEquals(writeCommand(command), argv);
    try {
      assertEquals(writeCommand(withPaths(command, (path) => path)), argv);
      // A path that was put in comes out again.
      const elsewhere = (path: string) => path.startsWith("/dev/") ? `${path}x` : `/new/${path}`;
      const moved = withPaths(command, elsewhere);
      assertEquals(
        pathsOf(moved).map(({ path }) => path),
        pathsOf(command).map(({ path }) => elsewhere(path)),
        argv.join(" "),
      );
      programsIn(command);
      forDestination(command, { removed: ["a"], added: [] });
      parsed++;
    } catch (error) {
      if (!(error instanceof CommandLineError)) throw new Error(argv.join(" "), { cause: error });
    }
  }
  assertEquals(parsed > 1000, true, `only ${parsed} were parsed`);
});

Deno.test("an option with more keys than any has is refused", () => {
  for (const value of ["a,".repeat(5000), `{"a":[${"1,".repeat(5000)}1]}`]) {
    assertThrows(
      () => parseOption({ name: "device", value }),
      CommandLineError,
      "-device: it has more than 4096 keys",
    );
  }
});
