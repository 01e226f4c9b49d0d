import { assert, assertEquals, assertRejects } from "@std/assert";
import { MAX_BANNER } from "../../../src/tunnel/limits.ts";
import { NoPrefaceError, skipBanner } from "../../../src/transport/ssh/banner.ts";
import { sshArguments } from "../../../src/transport/ssh/ssh.ts";
import { sshWords } from "../../../src/transport/ssh/words.ts";
import { MAGIC } from "../../../src/tunnel/wire/layout.ts";

const text = new TextEncoder();
const preface = { bytes: MAGIC, maxBanner: MAX_BANNER };
const skip = (pipe: Parameters<typeof skipBanner>[0]) => skipBanner(pipe, preface);

/** A pipe that brings these pieces, one a read. */
function pieces(...parts: readonly Uint8Array[]) {
  const left = parts.map((p) => p.slice());
  return {
    read(into: Uint8Array): Promise<number | null> {
      const whole = left.shift();
      if (!whole) return Promise.resolve(null);
      const part = whole.subarray(0, into.length);
      if (part.length < whole.length) left.unshift(whole.subarray(part.length));
      into.set(part);
      return Promise.resolve(part.length);
    },
  };
}

Deno.test("what a login prints is skipped, wherever reads cut it", async () => {
  const banner = text.encode("Welcome\r\n\x89VMF is not it\r\n");
  const all = new Uint8Array([...banner, ...MAGIC, 1, 2, 3]);
  for (let cut = 1; cut < all.length - 3; cut++) {
    const rest = await skip(pieces(all.subarray(0, cut), all.subarray(cut)));
    assertEquals([...rest.subarray(0, MAGIC.length)], [...MAGIC], `cut at ${cut}`);
  }
  const single = await skip(pieces(...[...all].map((byte) => Uint8Array.of(byte))));
  assertEquals([...single], [...MAGIC]);
  assertEquals((await skip(pieces(MAGIC))).length, MAGIC.length);
});

Deno.test("text without a vmferry behind it is shown by its last line, made safe", async () => {
  const said = pieces(text.encode("motd\nsh: \x1b[31mno such thing\n\n"));
  const error = await assertRejects(() => skip(said), NoPrefaceError);
  assertEquals(error.said, "sh: ?[31mno such thing");
  assertEquals((await assertRejects(() => skip(pieces()), NoPrefaceError)).said, "");
});

Deno.test("a banner as long as the limit is skipped, and one a byte longer is not", async () => {
  const magic = Uint8Array.from(MAGIC);
  const banner = (length: number) => pieces(new Uint8Array(length).fill(0x2e), magic);
  assertEquals(await skip(banner(MAX_BANNER)), magic);
  await assertRejects(() => skip(banner(MAX_BANNER + 1)), NoPrefaceError);
});

Deno.test("a banner without an end is given up at its limit", async () => {
  let reads = 0;
  const endless = {
    read(into: Uint8Array): Promise<number> {
      reads++;
      const n = Math.min(1000, into.length);
      into.fill(0x2e, 0, n);
      return Promise.resolve(n);
    },
  };
  await assertRejects(() => skip(endless), NoPrefaceError);
  assert(reads <= MAX_BANNER / 1000 + 2, `${reads} reads`);
});

Deno.test("ssh's arguments: nothing of an address becomes an option, words stay words", () => {
  const options = {
    ...{ host: "h", user: "u", port: 7, options: ["A=b c"], command: "sudo vmferry" },
    ...{ args: ["receive", "--qmp", "/a b'c;$(x)"], preface, onLine: () => {} },
  };
  assertEquals(sshArguments(options, false), [
    ...["-T", "-p", "7", "-o", "BatchMode=yes", "-o", "A=b c", "--", "u@h"],
    `sudo vmferry receive --qmp '/a b'\\''c;$(x)'`,
  ]);
  assert(!sshArguments(options, true).includes("BatchMode=yes"));
});

Deno.test("the message for an ssh that ended says what to do", () => {
  const words = (code: number, ...lines: string[]) =>
    sshWords({ host: "h", user: "u", port: 7, code, lines, said: "", command: "vmferry" });
  const cases: [string, string][] = [
    [words(127, "sh: 1: vmferry: not found"), "--remote-command"],
    [words(126, "Permission denied"), "can't be executed"],
    [words(255, "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"), "is not the one"],
    [words(255, "Host key verification failed."), "by hand, 'ssh -p 7 u@h'"],
    [words(255, "u@h: Permission denied (publickey)."), "refused every key"],
    [words(255, "ssh: connect to host h port 22: Connection refused"), "Connection refused"],
    [words(3, "vmferry: destination: no", "vmferry: the guest was not moved"), "destination: no"],
  ];
  const plain = { host: "h", user: undefined, port: undefined, said: "", command: "vmferry" };
  const unknown = sshWords({ ...plain, code: 255, lines: ["Host key verification failed."] });
  cases.push([unknown, "by hand, 'ssh h'"]);
  for (const [said, expected] of cases) assert(said.includes(expected), said);
});
