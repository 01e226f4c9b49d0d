/** The version of this program; `deno.json` says the same. */
export const VERSION = "1.0.0";

/** How this program was made: one compiled file, one packed file, or run from its sources. */
export function buildKind(): "compiled" | "packed" | "source" {
  if (Deno.build.standalone) return "compiled";
  return import.meta.url.endsWith(".js") ? "packed" : "source";
}
