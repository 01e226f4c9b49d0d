/**
 * Writes docs/errors.md from the tables of error and warning codes (`make docs`).
 *
 * @module
 */
import { EXIT } from "../../src/cli/output/exit_code.ts";
import { type ErrorRow, ERRORS, type Next } from "../../src/migrate/error_table.ts";
import { RULES } from "../../src/migrate/machine/rules.ts";
import { WARNINGS } from "../../src/migrate/warning_table.ts";

/** Where the text goes. */
export const DOC = new URL("../../docs/errors.md", import.meta.url);

const NEXT: Readonly<Record<Next, string>> = {
  retry: "migrate again",
  resume: "`--resume`",
  recover: "`vmferry recover`",
};

const HEAD = `# Error and warning codes

This page is generated (\`make docs\`) from src/migrate/error_table.ts and
src/migrate/warning_table.ts.

With \`--json\`, the last line of \`migrate\` and \`receive\` has
\`"error": {"code", "message", "side"}\` when the migration did not succeed. Scripts
decide on \`code\`; messages change. The exit code says what it means for the guest:

- ${EXIT.failed}, failed: the guest is at the source, unless the message says that it ended there.
- ${EXIT.refused}, refused: nothing was touched.
- ${EXIT.unknown}, unknown: vmferry cannot find out which side runs the guest. Do not start it
  anywhere before you know.
- ${EXIT.cancelled}, cancelled: the guest is at the source.

A code with exit ${EXIT.refused} comes with exit ${EXIT.failed} if vmferry finds the cause only after the
copy has begun. \`side\` is where the cause lies. The third entry says what can follow:

- ${NEXT.retry}: remove the cause, then start \`receive\` and \`migrate\` again.
- ${NEXT.resume}: the same migration can continue.
- ${NEXT.recover}: run it on both hosts before anything else.

If RAM had begun to cross, the destination's QEMU must be started again before the
next try, whatever the code; \`next\` in the output says so.

## Errors
`;

/** The page, before the formatter wraps it. */
export function errorsPage(): string {
  const rows = Object.entries(ERRORS).toSorted(([a], [b]) => a < b ? -1 : 1);
  const warnings = Object.entries(WARNINGS).map(([code, text]) => `- \`${code}\`: ${text}`);
  const rules = Object.keys(RULES).map((rule) => `\`${rule}\``).join(", ");
  return [
    HEAD,
    ...rows.map(([code, row]) => section(code, row)),
    "## Warnings\n",
    'A warning is an event of its own, `{"event": "warning", "code", "message"}`. Nothing has failed.\n',
    warnings.join("\n") + "\n",
    "The rules of the comparison of both machines are codes as well " +
    `([comparison.md](comparison.md)): ${rules}.\n`,
  ].join("\n");
}

function section(code: string, row: ErrorRow): string {
  const exits = row.kinds.map((kind) => EXIT[kind]).join(" or ");
  const side = row.side === "either" ? "either side" : row.side;
  const advice = [
    row.advice,
    row.destinationAdvice && `on the destination: ${row.destinationAdvice}`,
  ]
    .filter((text) => text !== undefined);
  return [
    `### \`${code}\`\n`,
    `${row.meaning}\n`,
    `- Exit ${exits}; ${side}; ${NEXT[row.next]}.`,
    ...advice.map((text) => `- Next: ${quoted(text!)}.`),
    "",
  ].join("\n");
}

/** Commands in an advice as code, and no markup by accident. */
function quoted(text: string): string {
  return text.replace(/'([^']+)'(?!\w)/g, "`$1`").replace(/</g, "\\<");
}

if (import.meta.main) await Deno.writeTextFile(DOC, errorsPage());
