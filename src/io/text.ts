/**
 * Text from another program, made safe to print: control characters become `?`, and what is longer
 * than `limit` characters is cut and marked.
 */
export function printable(text: string, limit = 500): string {
  const clean = text.replace(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, "?");
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
