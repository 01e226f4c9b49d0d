import { assertEquals, assertThrows } from "@std/assert";
import {
  CommandLineError,
  fieldOf,
  type OptionField,
  parseCommand,
  parseOption,
  withFields,
  withPaths,
  writeCommand,
  writeOption,
} from "../../../src/launch/command/mod.ts";
import { OPTIONS } from "../../../src/launch/command/option_table.ts";
import { writeFields } from "../../../src/launch/command/option_value.ts";
import { SAMPLES } from "./samples.ts";

function fields(name: string, value: string): [string, string, string][] {
  return parseOption({ name, value }).fields.map((f) => [f.key, f.value, f.style]);
}

for (const { name, argv } of SAMPLES) {
  Deno.test(`the command line of ${name} is written byte for byte as it was`, () => {
    const command = parseCommand(argv);
    assertEquals(writeCommand(command), argv);
    for (const option of command.options) {
      assertEquals(writeOption(parseOption(option)), option.value ?? "");
    }
    assertEquals(writeCommand(withPaths(command, (path) => path)), argv);
  });
}

Deno.test("keys, flags, an implied first key and doubled commas are parsed", () => {
  assertEquals(fields("device", "virtio-blk,drive=a,,b=c,bootindex"), [
    ["driver", "virtio-blk", "implied"],
    ["drive", "a,b=c", "full"],
    ["bootindex", "on", "flag"],
  ]);
  assertEquals(fields("fw_cfg", "a,,b=c,string="), [
    ["name", "a,b=c", "implied"],
    ["string", "", "full"],
  ]);
  assertEquals(fields("drive", "a,file=b"), [["a", "on", "flag"], ["file", "b", "full"]]);
  assertEquals(fields("hda", "a=b,c"), [["", "a=b,c", "raw"]]);
  assertEquals(fields("S", ""), [["", "", "raw"]]);
});

Deno.test("JSON has the same keys as the dotted form", () => {
  assertEquals(fields("blockdev", `{'driver':"raw","file": {"x":[1,{"y":true}]}, "z":null}`), [
    ["driver", "raw", "json"],
    ["file.x.0", "1", "json"],
    ["file.x.1.y", "on", "json"],
    ["z", "null", "json"],
  ]);
});

Deno.test("single quotes and escapes of QEMU's JSON are decoded", () => {
  const text = `{'a':'it\\'s "1"\\n',"b":"\\u00e9\\'"}`;
  assertEquals(fields("object", text).map(([, value]) => value), ['it\'s "1"\n', "é'"]);
});

Deno.test("broken JSON is refused", () => {
  for (
    const text of ["{", "{}x", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", '{"a":"\n"}', "{'a':1"]
  ) {
    assertThrows(() => fields("device", text), CommandLineError, "JSON is broken");
  }
  const deep = '{"a":'.repeat(70) + "1" + "}".repeat(70);
  assertThrows(() => fields("device", deep), CommandLineError, "JSON is broken");
});

Deno.test("a changed string in JSON leaves the rest byte for byte", () => {
  const value = parseOption({
    name: "object",
    value: `{ "size":18446744073709551615 , 'a' : "b" }`,
  });
  const changed = value.fields.map((f) => f.key === "a" ? { ...f, value: 'c"' } : f);
  assertEquals(withFields(value, changed).value, `{ "size":18446744073709551615 , 'a' : "c\\"" }`);
});

Deno.test("the last value of a key counts, and a flag with no- says off", () => {
  const value = parseOption({ name: "chardev", value: "socket,id=a,wait=on,id=b,nowait" });
  assertEquals(fieldOf(value, "id"), "b");
  assertEquals(fieldOf(value, "wait"), "off");
  assertEquals(fieldOf(value, "server"), undefined);
});

Deno.test("random values are written byte for byte, and written fields parse to themselves", () => {
  let seed = 12345;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return Math.floor(seed / 65536) % below;
  };
  const pieces = [",", ",,", "=", "a", "no", "file", "unix:", "tcp:", "mon:", "/dev/", "{", ":"];
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: random(9) }, () => pieces[random(pieces.length)]).join("");
    if (text.startsWith("{")) continue;
    for (const name of ["drive", "device", "serial", "hda"]) {
      let value;
      try {
        value = parseOption({ name, value: text });
      } catch (error) {
        if (error instanceof CommandLineError) continue;
        throw error;
      }
      assertEquals(writeOption(value), text);
      const first = OPTIONS[name]!.first;
      if (first === undefined || text.endsWith(",")) continue;
      const again: readonly OptionField[] = value.fields;
      assertEquals(writeFields("", again), text, JSON.stringify(again));
    }
  }
});
