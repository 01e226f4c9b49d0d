/**
 * What the page's server answers.
 *
 * @module
 */
import { list, livePage, livePolicy, notFound } from "./live_page.ts";
import { admit, type Served } from "./guard.ts";
import type { LiveRuns } from "./live_runs.ts";
import { summary, tables } from "../report/tables.ts";

const HTML = "text/html; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";

/** Answers one request. Never throws. */
export async function answer(
  request: Request,
  served: Served,
  runs: Pick<LiveRuns, "all">,
): Promise<Response> {
  const { method, headers, url } = request;
  const { pathname: path } = new URL(url);
  const admission = admit(served, { method, host: headers.get("host"), path });
  if ("status" in admission) {
    const { status, reason } = admission;
    return await say(`${reason}\n`, "text/plain; charset=utf-8", status);
  }
  const all = await runs.all();
  const root = `/${served.token}`;
  if (admission.path === "/") {
    // The only one needs no list.
    const [only, another] = all;
    if (!only || another) return await say(list(all, root), HTML);
    return await say(await livePage(only, `${root}/run/${only.pid}/data`), HTML);
  }
  const [, pid, data] = /^\/run\/(\d+)(\/data)?$/.exec(admission.path) ?? [];
  const run = all.find((one) => String(one.pid) === pid);
  if (!run) return await say(notFound(root), HTML, 404);
  if (data === undefined) return await say(await livePage(run, `${root}/run/${pid}/data`), HTML);
  const body = {
    ...{ data: run.data, gone: run.gone ?? "" },
    ...{ summary: summary(run.data).text, tables: tables(run.data).text },
  };
  return await say(JSON.stringify(body), JSON_TYPE);
}

async function say(body: string, type: string, status = 200): Promise<Response> {
  return new Response(body, {
    status,
    headers: {
      "content-type": type,
      "content-security-policy": await livePolicy(),
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      ...(status === 405 ? { allow: "GET, HEAD" } : {}),
    },
  });
}
