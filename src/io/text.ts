/**
 * Text from another program, made safe to print: control characters become `?`, and what is longer
 * than `limit` characters is cut and marked.
 */
export function printable(text: string, limit = 500): string {
  const clean = text.replace(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, "?");
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/** The same for every text in a value: an event with what another program has said in it. */
export function printableAll<T>(value: T, limit?: number): T {
  if (typeof value === "string") return printable(value, limit) as T;
  if (Array.isArray(value)) return value.map((item) => printableAll(item, limit)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, printableAll(item, limit)]),
  ) as T;
}

/** What the system said, below our own words. */
export function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootOf(error.cause) : error;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
