import { assertEquals, assertMatch } from "@std/assert";
import {
  type AgreedMultifd,
  multifdProblems,
  multifdSettings,
  ramStreams,
} from "../../src/migrate/multifd.ts";

const AGREED: AgreedMultifd = { channels: 4, compression: "zstd", zeroPages: true };

Deno.test("a QEMU without multifd, or without the compression, is a problem of its side", () => {
  const all = { multifd: true, compressions: ["none", "zlib", "zstd", "qpl"], zeroPages: true };
  const problems = (more: Partial<typeof all>, compression: string) =>
    multifdProblems("destination", "9.0.1", { ...all, ...more }, { channels: 2, compression });
  assertEquals(problems({}, "zstd"), []);
  assertEquals(problems({ compressions: ["none"] }, "none"), []);
  assertMatch(
    problems({ multifd: false }, "zstd").join(),
    /^the destination's QEMU 9\.0\.1 has no multifd/,
  );
  assertMatch(
    problems({ compressions: ["none", "zlib"] }, "zstd").join(),
    /^the destination's QEMU 9\.0\.1 was built without zstd .* one of none, zlib$/,
  );
});

Deno.test("both QEMUs get the same number of channels and the same compression", () => {
  const { capabilities, parameters } = multifdSettings(AGREED);
  assertEquals(capabilities, { multifd: true, xbzrle: false });
  assertEquals(parameters, {
    ...{ "multifd-channels": 4, "multifd-compression": "zstd", "zero-page-detection": "multifd" },
  });
});

Deno.test("zero pages stay in the main stream where one QEMU knows them there only", () => {
  const { parameters } = multifdSettings({ ...AGREED, zeroPages: false });
  assertEquals(parameters["zero-page-detection"], "legacy");
});

Deno.test("without multifd nothing is set and RAM has one stream, else one more than channels", () => {
  assertEquals(multifdSettings(null), { capabilities: {}, parameters: {} });
  assertEquals([
    ramStreams({ multifd: null, postcopy: null }),
    ramStreams({ multifd: AGREED, postcopy: null }),
    ramStreams({ multifd: null, postcopy: { preempt: true } }),
  ], [1, 5, 2]);
});
