import { assertEquals, assertThrows } from "@std/assert";
import {
  ResumedStream,
  StreamError,
  type StreamItem,
} from "../../../src/migrate/postcopy/resumed_stream.ts";
import { concat } from "../../support/bytes.ts";
import { command, END, END_OF_SECTION, ramSection, WHOLE, word } from "./source_stream.ts";

const PAGE = 1024;

/** The items of a stream, named by their commands. */
function itemsOf(...portions: readonly Uint8Array[]): string[] {
  const stream = new ResumedStream(PAGE);
  return portions.flatMap((portion) => stream.push(portion)).map(named);
}

function named(item: StreamItem): string {
  return item.kind === "end" ? "end" : `${item.number}: ${new TextDecoder().decode(item.payload)}`;
}

const ITEMS = [
  "2: \0\0\0\t",
  "10: \x06pc.ram",
  "10: \x14/rom@etc/acpi/tables",
  "9: ",
  "end",
];

Deno.test("a resumed stream is the same wherever it is cut in two", () => {
  for (let at = 0; at <= WHOLE.length; at++) {
    assertEquals(itemsOf(WHOLE.subarray(0, at), WHOLE.subarray(at)), ITEMS);
  }
});

Deno.test("a resumed stream is the same byte by byte", () => {
  assertEquals(itemsOf(...Array.from(WHOLE, (byte) => Uint8Array.of(byte))), ITEMS);
});

Deno.test("an item is given out with its last byte, not later", () => {
  const stream = new ResumedStream(PAGE);
  const ping = command(2, [1, 2, 3, 4]);
  assertEquals(stream.push(ping.subarray(0, -1)), []);
  assertEquals(stream.push(ping.subarray(-1)).map(named), ["2: \x01\x02\x03\x04"]);
  assertEquals(stream.push(END).map(named), ["end"]);
});

Deno.test("a payload is a copy: the buffer that it came in may be filled again", () => {
  const stream = new ResumedStream(PAGE);
  const buffer = command(2, [1, 2, 3, 4]);
  const [ping] = stream.push(buffer);
  buffer.fill(0);
  assertEquals(named(ping!), "2: \x01\x02\x03\x04");
});

Deno.test("pages that QEMU sends all the same are dropped, in any form", () => {
  const named = [6, ...new TextEncoder().encode("pc.ram")];
  const section = ramSection(
    2,
    word(0x1000 | 0x08, [...named, ...new Array<number>(PAGE).fill(8)]),
    word(0x2000 | 0x08 | 0x20, new Array<number>(PAGE).fill(0)),
    word(0x3000 | 0x02, [...named, 0]),
    word(0x4000 | 0x02 | 0x20, [0]),
    word(0x200),
    END_OF_SECTION,
  );
  const whole = concat([section, command(9), END]);
  for (let at = 0; at <= whole.length; at++) {
    assertEquals(itemsOf(whole.subarray(0, at), whole.subarray(at)), ["9: ", "end"]);
  }
});

Deno.test("a RAM section needs no footer: machine types before 2.4 have none", () => {
  const section = ramSection(3, END_OF_SECTION).subarray(0, -5);
  assertEquals(itemsOf(section, command(9), END), ["9: ", "end"]);
});

Deno.test("bytes after the end are ignored", () => {
  assertEquals(itemsOf(END, Uint8Array.of(255, 255), command(9)), ["end"]);
});

Deno.test("a section of another type is rejected with its number", () => {
  for (const type of [1, 4, 5, 6, 7, 9, 255]) {
    assertThrows(() => itemsOf(Uint8Array.of(type)), StreamError, `a section of type ${type}`);
  }
  // The first byte of a migration from its start: "QEVM".
  assertThrows(() => itemsOf(Uint8Array.of(0x51)), StreamError, "a section of type 81");
});

Deno.test("a RAM section with another flag is rejected with its flags", () => {
  for (const flag of [0x01, 0x04, 0x40, 0x80, 0x100]) {
    const bytes = ramSection(2, word(0x1000 | flag));
    assertThrows(() => itemsOf(bytes), StreamError, `the flags 0x${flag.toString(16)}`);
  }
});
