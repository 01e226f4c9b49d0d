import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../../src/cli/args/mod.ts";
import { UsageError } from "../../../src/cli/args/usage_error.ts";

const parse = (line: string) => parseCommandLine(`${line} --qmp /q tcp://h:1`.split(" "));

Deno.test("migrate and check take multifd, without compression unless it is given", () => {
  const plain = parse("migrate --multifd 4");
  assert(plain.command === "migrate");
  assertEquals(plain.ram, { multifd: { channels: 4, compression: "none" } });
  const check = parse("check --multifd 16 --multifd-compression zstd");
  assert(check.command === "check");
  assertEquals(check.ram, { multifd: { channels: 16, compression: "zstd" } });
});

Deno.test("check takes every option of how RAM crosses, with the same values as migrate", () => {
  const lines = [
    ...["--postcopy", "--postcopy-after 5", "--allow-postcopy", "--xbzrle --xbzrle-cache 128M"],
    ...["--auto-converge --throttle-initial 40 --throttle-increment 5 --throttle-max 60"],
    ...["--no-auto-converge", "--dirty-limit 50M", "--copy-mode write-blocking"],
  ];
  for (const line of lines) {
    const check = parse(`check ${line}`);
    assert(check.command === "check");
    assertEquals(check.ram, ramOf(line), line);
  }
  const timeout = parse("check --timeout-action postcopy");
  assert(timeout.command === "check");
  assertEquals(timeout.ram, { postcopy: { when: "asked" } });
  assertThrows(() => parse("check --timeout-action wait"), UsageError, "abort, pause or postcopy");
});

Deno.test("check domain refuses the options of RAM that belong to QEMU without libvirt", () => {
  for (const flag of ["--multifd 4", "--dirty-limit 50M", "--postcopy", "--auto-converge"]) {
    const line = `check domain vm1 ${flag} ssh://root@h`.split(" ");
    assertThrows(() => parseCommandLine(line), UsageError, "does not go with 'check domain'");
  }
});

Deno.test("a number of channels outside 2 to 16, or another compression, is refused", () => {
  const wrong = [
    ...[["--multifd 1", 'got "1"'], ["--multifd 17", "from 2 to 16"], ["--multifd 4.5", "from 2"]],
    ...[["--multifd 0x4", "from 2 to 16"], ["--multifd-compression zstd", "needs --multifd N"]],
    ["--multifd 2 --multifd-compression qpl", "one of none, zlib, zstd"],
  ] as const;
  for (const [flags, message] of wrong) {
    assertThrows(() => parse(`migrate ${flags}`), UsageError, message);
  }
});

Deno.test("the copy mode of the mirrors is background or write-blocking", () => {
  const migrate = parse("migrate --copy-mode write-blocking");
  assert(migrate.command === "migrate");
  assertEquals(migrate.ram, { copyMode: "write-blocking" });
  assertThrows(() => parse("migrate --copy-mode fast"), UsageError, "background or write-blocking");
});

function ramOf(flags: string) {
  const migrate = parse(`migrate ${flags}`.trim());
  assert(migrate.command === "migrate");
  return migrate.ram;
}

Deno.test("a guest is throttled by vmferry's ladder, from the start, or never", () => {
  assertEquals(ramOf(""), {});
  assertEquals(ramOf("--auto-converge --throttle-initial 40"), {
    autoConverge: { when: "start", initial: 40 },
  });
  assertEquals(ramOf("--throttle-max 60 --throttle-increment 5"), {
    autoConverge: { when: "ladder", max: 60, increment: 5 },
  });
  assertEquals(ramOf("--no-auto-converge"), { autoConverge: { when: "never" } });
});

Deno.test("a dirty limit is in whole MiB a second", () => {
  assertEquals(ramOf("--dirty-limit 50M"), { dirtyLimitMib: 50 });
  assertThrows(() => ramOf("--dirty-limit 50"), UsageError, "such as 50M");
});

Deno.test("options of the throttle that contradict each other are refused", () => {
  const wrong = [
    ["--auto-converge --no-auto-converge", "exclude each other"],
    ["--auto-converge --dirty-limit 50M", "exclude each other"],
    ["--no-auto-converge --throttle-max 50", "--no-auto-converge"],
    ["--dirty-limit 50M --throttle-max 50", "--dirty-limit"],
    ["--throttle-initial 50 --throttle-max 40", "more than --throttle-max 40"],
    ["--throttle-max 0", "1 to 99"],
    ["--throttle-max 100", "1 to 99"],
  ] as const;
  for (const [flags, message] of wrong) assertThrows(() => ramOf(flags), UsageError, message);
});

Deno.test("xbzrle has a cache of a power of two, and goes with pre-copy in one stream only", () => {
  const migrate = parse("migrate --xbzrle");
  assert(migrate.command === "migrate");
  assertEquals(migrate.ram, { xbzrleCacheBytes: 64 * 2 ** 20 });
  const larger = parse("migrate --xbzrle --xbzrle-cache 1G");
  assert(larger.command === "migrate");
  assertEquals(larger.ram, { xbzrleCacheBytes: 2 ** 30 });
  const wrong = [
    ["--xbzrle --xbzrle-cache 100M", "a power of two"],
    ["--xbzrle-cache 64M", "--xbzrle-cache needs --xbzrle"],
    ["--xbzrle --multifd 2", "pre-copy in one stream"],
    ["--xbzrle --postcopy", "pre-copy in one stream"],
  ] as const;
  for (const [flags, message] of wrong) {
    assertThrows(() => parse(`migrate ${flags}`), UsageError, message);
  }
});
