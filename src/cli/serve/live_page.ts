/**
 * The pages of `status --serve`.
 *
 * @module
 */
import { markup } from "../report/html.ts";
import { page, policy, STYLE_ELEMENT } from "../report/page.ts";
import { outcomeOf, titleOf } from "../report/tables.ts";
import type { LiveRun } from "./live_runs.ts";

/** After this a browser without JavaScript loads the page again, s. */
const EVERY_SECONDS = 5;

/** The policy of every page: as that of a report, and requests to the own server. */
export async function livePolicy(): Promise<string> {
  return await policy(["connect-src 'self'", "frame-ancestors 'none'"]);
}

/** The page of one run, which asks for new data at `url`. */
export async function livePage({ data, gone }: LiveRun, url: string): Promise<string> {
  const isOver = data.result !== null || gone !== undefined;
  return await page(data, { url: isOver ? "" : url, everySeconds: EVERY_SECONDS, gone });
}

/** The runs of this host. */
export function list(runs: readonly LiveRun[], root: string): string {
  const rows = runs.map(({ pid, data, gone }) =>
    markup`<li><a href="${root}/run/${pid}">${titleOf(data)}</a>, process ${pid}: ${
      gone ?? outcomeOf(data)
    }</li>
`
  );
  const body = rows.length === 0
    ? markup`<p>No migration runs on this host. This page looks again every ${EVERY_SECONDS} s.</p>`
    : markup`<ul>
${rows}</ul>`;
  return frame("Migrations of this host", body, true);
}

/** The page of a run that is not known. */
export function notFound(root: string): string {
  const body = markup`<p>There is no such run. <a href="${root}/">The runs of this host</a></p>`;
  return frame("Not found", body, false);
}

function frame(title: string, body: ReturnType<typeof markup>, again: boolean): string {
  const refresh = again && markup`<meta http-equiv="refresh" content="${EVERY_SECONDS}">`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${refresh || undefined}
<title>${title}</title>
${STYLE_ELEMENT}
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`.text;
}
