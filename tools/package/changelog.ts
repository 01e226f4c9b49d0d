/**
 * Reads CHANGELOG.md.
 *
 * @module
 */
import { VERSION } from "../../src/cli/version.ts";
import { project } from "../run.ts";

/**
 * The date of this version, as `2026-11-28`.
 *
 * @throws {Error} when the changelog has no heading of this version.
 */
export function releaseDate(): string {
  const text = Deno.readTextFileSync(project("CHANGELOG.md"));
  const date = text.match(
    new RegExp(`^## ${VERSION.replaceAll(".", "\\.")} - (\\d{4}-\\d\\d-\\d\\d)$`, "m"),
  )?.[1];
  if (!date) throw new Error(`CHANGELOG.md has no heading "## ${VERSION} - YYYY-MM-DD"`);
  return date;
}
