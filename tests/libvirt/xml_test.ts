import { assertEquals, assertThrows } from "@std/assert";
import { escapeXml, parseElement, scaledBytes, XmlFormatError } from "../../src/libvirt/mod.ts";

const parse = (xml: string) => parseElement(xml, "a", "The text");

Deno.test("an element has its text, attributes, children and its own piece of the document", () => {
  const a = parse(`<?xml version="1.0"?><a x="1&amp;2">🙂<b>ü <c/></b><b y='z'/></a>`);
  assertEquals(a.attribute("x"), "1&2");
  assertEquals(a.attribute("y"), null);
  assertEquals(a.textAt("b"), "ü");
  assertEquals(a.find("b")?.text, "ü ");
  assertEquals(a.find("b")?.xml, "<b>ü <c/></b>");
  assertEquals(a.all("b")[1]?.xml, "<b y='z'/>");
  assertEquals(a.find("b", "c")?.name, "c");
  assertEquals(a.find("c"), null);
  assertEquals(a.textAt("b", "c"), null);
});

Deno.test("an attribute that JavaScript objects have by themselves is absent", () => {
  assertEquals(parse("<a/>").attribute("constructor"), null);
});

Deno.test("line ends of Windows are those of Linux", () => {
  assertEquals(parse("<a>\r\n<b>1\r\n2</b>\r\n</a>").textAt("b"), "1\n2");
});

Deno.test("malformed XML is an error that names the document and the place", () => {
  for (
    const xml of [
      "",
      "no XML",
      "<a>",
      "<a></b>",
      "<a x=1/>",
      "<a/><a/>",
      "<a>&nbsp;</a>",
      "<a>\u0000</a>",
    ]
  ) {
    assertThrows(() => parse(xml), XmlFormatError, "The text: malformed XML: ");
  }
  const error = assertThrows(() => parse("<a>\n<b></a>"), XmlFormatError, "line 2, column 4");
  assertEquals(error.message.includes("\n"), false);
});

Deno.test("a document type is refused, and its entities are not read", () => {
  const external = `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`;
  assertThrows(() => parse(external), XmlFormatError, "document type");
  const bomb = `<!DOCTYPE a [<!ENTITY x "xxxxxxxx">]><a>&x;</a>`;
  assertThrows(() => parse(bomb), XmlFormatError);
});

Deno.test("XML that is nested without end is an error, not a crash", () => {
  assertThrows(() => parse("<a>".repeat(200_000)), XmlFormatError);
});

Deno.test("another root element is refused", () => {
  assertThrows(() => parse("<pool/>"), XmlFormatError, "has the element pool, expected a");
});

Deno.test("sizes have libvirt's units", () => {
  const cases: readonly [string, string, number | null][] = [
    ["1", "KiB", 1024],
    ["1", "k", 1024],
    ["1", "KB", 1000],
    ["2", "GiB", 2 ** 31],
    ["7", "bytes", 7],
    ["7", "b", 7],
    ["1", "TiB", 2 ** 40],
    ["1.5", "MiB", 1572864],
    ["", "KiB", null],
    ["many", "KiB", null],
    ["1", "parsec", null],
    ["1", "constructor", null],
  ];
  for (const [number, unit, bytes] of cases) {
    assertEquals(scaledBytes(number, unit), bytes, `${number} ${unit}`);
  }
});

Deno.test("escaped text comes back from the parser as it was", () => {
  const text = `<&>"' ü🙂\t\r\n]]>`;
  assertEquals(parse(`<a x="${escapeXml(text)}">${escapeXml(text)}</a>`).text, text);
  assertEquals(parse(`<a x="${escapeXml(text)}"/>`).attribute("x"), text);
});
