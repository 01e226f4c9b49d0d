/**
 * A report as one page: HTML that is readable without JavaScript, the charts' scripts, and the same data as JSON.
 *
 * @module
 */
import { encodeBase64 } from "@std/encoding/base64";
import { uplotLicence, uplotScript, uplotStyle } from "uplot";
import { VERSION } from "../version.ts";
import charts from "./assets/charts.js" with { type: "text" };
import ownStyle from "./assets/page.css" with { type: "text" };
import type { ReportData } from "./data.ts";
import { Html, markup, scriptJson } from "./html.ts";
import { summary, tables, titleOf } from "./tables.ts";

const STYLE = `${uplotStyle}\n${ownStyle}`;
/** The style sheet of every page; {@link policy} names it. */
export const STYLE_ELEMENT = new Html(`<style>${STYLE}</style>`);

/** How a page that changes is kept up to date. */
export interface Live {
  /** Where the page asks for new data, on its own server; empty: nothing changes any more. */
  readonly url: string;
  /** Seconds after which a browser without JavaScript loads the page again. */
  readonly everySeconds: number;
  /** Why the page has no new data. */
  readonly gone?: string | undefined;
}

/**
 * What the page may do: run its two scripts and use its style sheet, which are named by their hashes. Even text that
 * would break out of its place could run nothing and load nothing.
 *
 * @param sources directives in addition to these, each a whole one.
 */
export async function policy(sources: readonly string[] = []): Promise<string> {
  const [drawing, library, style] = await Promise.all([charts, uplotScript, STYLE].map(hashOf));
  return [
    "default-src 'none'",
    `script-src ${drawing} ${library}`,
    `style-src ${style}`,
    ...["base-uri 'none'", "form-action 'none'"],
    ...sources,
  ].join("; ");
}

/** The page. `live`: for a page that a server keeps up to date. */
export async function page(data: ReportData, live?: Live): Promise<string> {
  const title = titleOf(data);
  // The server sends the policy of a live page in a header.
  const again = live?.url
    ? markup`<noscript><meta http-equiv="refresh" content="${live.everySeconds}"></noscript>`
    : undefined;
  const head = live
    ? again
    : markup`<meta http-equiv="Content-Security-Policy" content="${await policy()}">`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
${head}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="vmferry ${VERSION}">
<title>${title}</title>
${STYLE_ELEMENT}
</head>
<body${live && markup` data-live="${live.url}"`}>
<h1>${title}</h1>
<section id="summary">
${summary(data)}</section>
<p id="state" role="status">${live?.gone}</p>
<noscript><p>The charts need JavaScript. Everything else is below.</p></noscript>
<div id="charts"></div>
<p id="bands" hidden>Bands: <i class="phase"></i>phases <i class="cut"></i>connection lost
<i class="pause"></i>guest paused <i class="mark"></i>warnings and steps</p>
<main id="tables">
${tables(data)}</main>
<footer>
<p>Written by vmferry ${VERSION} at ${data.written}. The element "data" of this page has the same as JSON.</p>
<details><summary>The charts are drawn by uPlot</summary><pre>${uplotLicence}</pre></details>
</footer>
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>${new Html(uplotScript)}</script>
<script>${new Html(charts)}</script>
</body>
</html>
`.text;
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${encodeBase64(new Uint8Array(digest))}'`;
}
