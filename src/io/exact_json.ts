/** Members of QEMU's migration parameters that may have any 64-bit value. */
const LARGE = /-(bandwidth|size)$/;

/** `JSON` with the parts of the proposal "JSON.parse source text access", which V8 has. */
const json = JSON as unknown as {
  parse(text: string, reviver: Reviver): unknown;
  rawJSON(text: string): unknown;
};

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * Parses JSON, and keeps every digit of a bandwidth or size that is too large for a number: it becomes a
 * `Number` object that `JSON.stringify` writes as it was read. QEMU would refuse the rounded value of
 * UINT64_MAX, which is no 64-bit integer any more.
 *
 * @throws {SyntaxError} when the text is no JSON.
 */
export function parseExact(text: string): unknown {
  // The reviver costs time, and such numbers are rare.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return json.parse(text, (key, value, { source = "" }) => {
    const isLarge = typeof value === "number" && !Number.isSafeInteger(value) &&
      LARGE.test(key) && /^\d+$/.test(source);
    return isLarge ? Object.assign(Object(value), { toJSON: () => json.rawJSON(source) }) : value;
  });
}
