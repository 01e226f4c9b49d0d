/**
 * Writes the table of migration settings into docs/qemu.md, from the tables in src (`make docs`).
 *
 * @module
 */
import { CAPABILITIES, PARAMETERS, type SettingRow } from "../../src/migrate/settings_table.ts";

/** Where the text goes. */
export const DOC = new URL("../../docs/qemu.md", import.meta.url);

const BEGIN =
  "<!-- Generated (make docs) from src/migrate/settings_table.ts, down to the end mark. -->";
const END = "<!-- End of the generated part. -->";

/** The tables, before the formatter wraps them. */
export function settingsTables(): string {
  const parts: [title: string, rows: Readonly<Record<string, SettingRow>>][] = [
    ["capability", CAPABILITIES],
    ["parameter", PARAMETERS],
  ];
  return parts.map(([title, rows]) =>
    [
      `| ${title} | QEMU | for the crossing | why |`,
      "| --- | --- | --- | --- |",
      ...Object.entries(rows).map(([name, row]) =>
        `| \`${name}\` | ${versions(row)} | ${value(row)} | ${row.why} |`
      ),
    ].join("\n")
  ).join("\n\n");
}

/** The part of the page between both marks. @throws {Error} when the page lacks one. */
export function generatedPart(page: string): string {
  const [from, to] = marks(page);
  return page.slice(from, to);
}

function marks(page: string): [from: number, to: number] {
  const [begin, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || to < begin) throw new Error(`${DOC.pathname} lacks "${BEGIN}" or "${END}"`);
  return [begin + BEGIN.length, to];
}

function versions({ since, until }: SettingRow): string {
  return [since && `since ${since}`, until && `gone in ${until}`].filter(Boolean).join(", ");
}

function value({ crossing, side, decided }: SettingRow): string {
  if (decided !== undefined) return decided;
  if (crossing === undefined) return "left";
  const text = typeof crossing === "boolean"
    ? crossing ? "on" : "off"
    : crossing === ""
    ? "empty"
    : `\`${crossing}\``;
  return side === undefined ? text : `the ${side}: ${text}`;
}

if (import.meta.main) {
  const page = await Deno.readTextFile(DOC);
  const [from, to] = marks(page);
  const text = `${page.slice(0, from)}\n\n${settingsTables()}\n\n${page.slice(to)}`;
  await Deno.writeTextFile(DOC, text);
}
