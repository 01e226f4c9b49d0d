/**
 * Makes text from another program safe to print: control characters become `?`, and text beyond
 * `limit` characters is cut and marked with `…`.
 */
export function printable(text: string, limit = 500): string {
  const clean = text.replace(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, "?");
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/** Applies {@link printable} to every text in a value, such as an event that quotes another program. */
export function printableAll<T>(value: T, limit?: number): T {
  if (typeof value === "string") return printable(value, limit) as T;
  if (Array.isArray(value)) return value.map((item) => printableAll(item, limit)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, printableAll(item, limit)]),
  ) as T;
}

/** The innermost `cause`: the system's error below our own messages. */
export function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootOf(error.cause) : error;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
