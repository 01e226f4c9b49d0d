import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import type { MigrationEvent } from "../../../src/migrate/mod.ts";
import type { ReportData } from "../../../src/cli/report/data.ts";
import { RunHistory } from "../../../src/cli/report/history.ts";
import { escape, markup, scriptJson, table } from "../../../src/cli/report/html.ts";
import { page, policy } from "../../../src/cli/report/page.ts";
import { outcomeOf, summary, tables } from "../../../src/cli/report/tables.ts";

/** Ends each element that text may stand in, and would run a script. */
const HOSTILE = "</script><script>alert(1)</script><!--\"'><img src=x onerror=alert(2)>\u2028";

const RESULT: MigrationEvent & { readonly event: "result" } = {
  ...{ event: "result", outcome: "failed", downtimeMs: 30, pauseMs: 80, totalMs: 60_000 },
  ...{ bytes: 130, next: [HOSTILE], guest: HOSTILE },
  error: { code: "disk-full", message: HOSTILE, side: "destination" },
  verify: [{
    ...{ disk: HOSTILE, blocks: 1, bytes: 1, seconds: 1, rootHash: HOSTILE, unproved: 0 },
    differed: 0,
  }],
};

/** A run in which every text that comes from elsewhere is `text`. */
function dataWith(text: string): ReportData {
  const about = {
    ...{ command: "migrate", side: "source" as const, host: text },
    settings: [{ name: text, value: text }],
  };
  const history = new RunHistory({ about, now: () => 0 });
  history.identify({ guest: { name: text, uuid: text } });
  const events: MigrationEvent[] = [
    { event: "migration", migration: text },
    { event: "session", peerVersion: text },
    {
      ...{ event: "host", side: "destination", qemuVersion: text, host: text, command: text },
      settings: [{ name: text, value: text }],
    },
    { event: "phase", phase: "mirror" },
    {
      ...{ event: "progress", phase: "mirror", rate: 7, eta: 1, ram: null },
      disks: [{ name: text, transferred: 30, total: 40, ready: true }],
    },
    { event: "warning", code: "storage", message: text },
    { event: "carry", host: text, sent: 1, total: 1 },
    { event: "listening", address: text },
    RESULT,
  ];
  for (const event of events) history.note(event);
  return history.data();
}

Deno.test("text of the guest and of the other end stays text, wherever it stands", async () => {
  const data = dataWith(HOSTILE);
  const plain = dataWith("harmless");
  // As many elements as without it: none of the text has become one.
  const elements = async (of: ReportData) => (await page(of)).match(/<[a-z!/]/gi)!.length;
  assertEquals(await elements(data), await elements(plain));
  const text = await page(data);
  assertNotMatch(text, /<img|<!--|<script>alert/i);
  assert(text.includes("&#60;/script&#62;"), "the text itself is shown");
});

Deno.test("the JSON in the page is the data, whatever text is in it", async () => {
  const data = dataWith(HOSTILE);
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s
    .exec(await page(data))!;
  assertEquals(JSON.parse(json!), JSON.parse(JSON.stringify(data)));
});

Deno.test("control and bidi characters are not shown as they are", () => {
  assertEquals(escape("a\x1b[2J\u202eb\nc"), "a?[2J?b\nc");
  assertEquals(markup`${"<&>\"'"}`.text, "&#60;&#38;&#62;&#34;&#39;");
});

Deno.test("JSON for a script element has no character that could end it", () => {
  assertEquals(scriptJson("</script>\u2028&").text, '"\\u003c/script\\u003e\\u2028\\u0026"');
});

Deno.test("the page loads nothing and runs nothing but its two scripts", async () => {
  const text = await page(dataWith("x"));
  const rules = await policy();
  assertMatch(rules, /^default-src 'none'; script-src 'sha256-\S+' 'sha256-\S+'; style-src 'sha/);
  assert(text.includes(markup`content="${rules}"`.text), "the policy is in the page");
  const outside = text.replaceAll(/<script.*?<\/script>|<style.*?<\/style>/gs, "");
  assertNotMatch(outside, /<[a-z][^>]*\s(?:src|href|style|on[a-z]+)\s*=/);
  // What the policy names is what stands in the page.
  const scripts = [...text.matchAll(/<script>(.*?)<\/script>/gs)].map(([, script]) => script!);
  assertEquals(scripts.length, 2);
  for (const piece of [...scripts, /<style>(.*?)<\/style>/s.exec(text)![1]!]) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(piece));
    const hash = btoa(String.fromCharCode(...new Uint8Array(digest)));
    assert(rules.includes(`'sha256-${hash}'`), `no hash of ${piece.slice(0, 60)}`);
  }
  assert(text.includes("Permission is hereby granted"), "the licence of uPlot is in the page");
});

Deno.test("without JavaScript the page shows result, disks, events, phases and settings", () => {
  const data = dataWith("vda");
  const text = summary(data).text + tables(data).text;
  assertMatch(text, /Failed: the guest was not moved/);
  for (const caption of ["Events", "Phases", "Disks", "Hosts", "Settings that were given"]) {
    assert(text.includes(`<caption>${caption}</caption>`), caption);
  }
  assertMatch(text, /<td>vda<\/td><td><\/td><td>30 B<\/td><td>75 %<\/td><td>ready<\/td>/);
});

Deno.test("a table without rows is not there", () => {
  assertEquals(table("x", ["a"], []).text, "");
});

Deno.test("a page of a run that has no result says how far it was", () => {
  const about = { command: "receive", side: "destination" as const, host: null, settings: [] };
  const history = new RunHistory({ about, now: () => 0 });
  assertEquals(outcomeOf(history.data()), "No source has come yet.");
  history.note({ event: "phase", phase: "mirror" });
  assertEquals(
    outcomeOf(history.data()),
    "It was running when this page was written: copying disks.",
  );
});

Deno.test("a live page names where it asks, and loads itself again without JavaScript", async () => {
  const text = await page(dataWith("x"), { url: "/run/1/data", everySeconds: 5 });
  assert(text.includes('<body data-live="/run/1/data">'));
  assert(text.includes('<noscript><meta http-equiv="refresh" content="5"></noscript>'));
});
