import { assertEquals, assertThrows } from "@std/assert";
import { LineSplitter } from "../../src/io/line_splitter.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("lines are the same wherever the bytes are split", () => {
  const text = '{"a":"ü€😀"}\r\n\n{"b":1}\n';
  const all = bytes(text);
  const whole = [...new LineSplitter().push(all)];
  assertEquals(whole, ['{"a":"ü€😀"}', "", '{"b":1}']);
  for (let first = 0; first <= all.length; first++) {
    for (let second = first; second <= all.length; second++) {
      const splitter = new LineSplitter();
      const lines = [
        ...splitter.push(all.subarray(0, first)),
        ...splitter.push(all.subarray(first, second)),
        ...splitter.push(all.subarray(second)),
      ];
      assertEquals(lines, whole, `split at ${first} and ${second}`);
    }
  }
});

Deno.test("a line of the limit is accepted, one byte more is refused", () => {
  const line = bytes("0123456789");
  const fed = (max: number) => {
    const splitter = new LineSplitter();
    return [
      ...splitter.push(line.subarray(0, 4), max),
      ...splitter.push(line.subarray(4), max),
      ...splitter.push(bytes("\n"), max),
    ];
  };
  assertEquals(fed(10), ["0123456789"]);
  assertThrows(() => fed(9), RangeError, "more than 9 bytes");
});
