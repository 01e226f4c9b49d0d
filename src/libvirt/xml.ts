/**
 * The XML of libvirt as a tree of elements. No document type: entities other than XML's own five are
 * errors, and nothing outside the text is read.
 *
 * @module
 */
import { parseXml, type XmlElement } from "@rgrove/parse-xml";
import { messageOf } from "../io/mod.ts";

/** A text that is not the XML that was expected. The message names the document and the place. */
export class XmlFormatError extends Error {
  /** The class, also in a bundle. */
  override name = "XmlFormatError";
}

/** An element and the text that it came from. */
export class Element {
  readonly #node: XmlElement;
  readonly #source: string;

  /** Made by {@link parseElement}. */
  constructor(node: XmlElement, source: string) {
    this.#node = node;
    this.#source = source;
  }

  /** Its name. */
  get name(): string {
    return this.#node.name;
  }

  /** Its text and that of all elements in it, with white space as it stands. */
  get text(): string {
    return this.#node.text;
  }

  /** The element as its document has it. */
  get xml(): string {
    return this.#source.slice(this.#node.start, this.#node.end);
  }

  /** Value of an attribute, or `null`. */
  attribute(name: string): string | null {
    return this.#node.attributes[name] ?? null;
  }

  /** Its children with this name. */
  all(name: string): Element[] {
    return this.elements().filter((child) => child.name === name);
  }

  /** All elements that are its children. */
  elements(): Element[] {
    return this.#node.children
      .filter((child): child is XmlElement => child.type === "element")
      .map((child) => new Element(child, this.#source));
  }

  /** The first element at this path of names, or `null`. */
  find(...path: readonly string[]): Element | null {
    return path.reduce<Element | null>((found, name) => found?.all(name)[0] ?? null, this);
  }

  /** The text of the first element at this path, without white space around it; `null` if empty. */
  textAt(...path: readonly string[]): string | null {
    return this.find(...path)?.text.trim() || null;
  }
}

/**
 * Parses a document.
 *
 * @param name what its root element must be called.
 * @param what the document, for the error: `virsh dumpxml`.
 * @throws {XmlFormatError} when it is malformed, has a document type, or another root element.
 */
export function parseElement(xml: string, name: string, what: string): Element {
  let root: XmlElement | null;
  try {
    const document = parseXml(xml, { includeOffsets: true, preserveDocumentType: true });
    if (document.children.some(({ type }) => type === "doctype")) {
      throw new XmlFormatError(`${what}: the XML has a document type, which libvirt never writes`);
    }
    root = document.root;
  } catch (error) {
    if (error instanceof XmlFormatError) throw error;
    // The first line has the reason and the place; the rest is an excerpt with a marker.
    const reason = messageOf(error).split("\n")[0];
    throw new XmlFormatError(`${what}: malformed XML: ${reason}`, { cause: error });
  }
  if (root?.name !== name) {
    throw new XmlFormatError(`${what}: the XML has the element ${root?.name}, expected ${name}`);
  }
  return new Element(root, xml);
}

const UNITS: ReadonlyMap<string, number> = new Map(Object.entries({
  b: 1,
  byte: 1,
  bytes: 1,
  kb: 1e3,
  k: 2 ** 10,
  kib: 2 ** 10,
  mb: 1e6,
  m: 2 ** 20,
  mib: 2 ** 20,
  gb: 1e9,
  g: 2 ** 30,
  gib: 2 ** 30,
  tb: 1e12,
  t: 2 ** 40,
  tib: 2 ** 40,
  pb: 1e15,
  p: 2 ** 50,
  pib: 2 ** 50,
}));

/**
 * A size of libvirt in bytes: a number with a unit as in `<memory unit="KiB">` (libvirt's "scaled
 * integer").
 *
 * @returns `null` where it is none.
 */
export function scaledBytes(number: string, unit: string): number | null {
  const scale = UNITS.get(unit.toLowerCase());
  const value = Number(number);
  if (scale === undefined || number.trim() === "" || !Number.isFinite(value)) return null;
  return Math.round(value * scale);
}

/** Text as the content of an element or of an attribute in quotes. */
export function escapeXml(text: string): string {
  return text.replace(
    /[<>&"'\t\n\r]/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
}
