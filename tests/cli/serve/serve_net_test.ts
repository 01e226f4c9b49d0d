import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { listenUnix } from "../../../src/transport/mod.ts";
import { Limits, type MigrationEvent } from "../../../src/migrate/mod.ts";
import { controlSource } from "../../../src/cli/control/controlled.ts";
import { ControlServer } from "../../../src/cli/control/server.ts";
import { StatusBoard } from "../../../src/cli/control/status_board.ts";
import { RunHistory } from "../../../src/cli/report/history.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;
const RESULT: MigrationEvent = {
  ...{ event: "result", outcome: "migrated", downtimeMs: 1, pauseMs: 2, totalMs: 3, bytes: 4 },
  ...{ error: null, next: [], guest: "running" },
};

/** A run whose process is this test, in a base directory of its own. */
async function runningIn(base: string) {
  const runDir = `${base}/run-1`;
  await Deno.mkdir(runDir);
  await Deno.writeTextFile(`${runDir}/ticket`, "hush-hush");
  const about = { command: "migrate", side: "source" as const, host: "h", settings: [] };
  const history = new RunHistory({ about, now: () => Date.now() });
  const board = new StatusBoard(history);
  const guest = { name: "<i>vm1</i>", uuid: null };
  history.identify({ guest });
  const identity = { role: "source" as const, pid: 4711, runDir, qmp: "/q", guest };
  const controlled = controlSource(board, identity, new Limits(1000, 300), new AbortController());
  const server = new ControlServer(
    await listenUnix(`${runDir}/control.sock`),
    ...[controlled, systemClock, silentLogger] as const,
  );
  return { board, end: () => server.close() };
}

/** `vmferry status --serve`, until the test ends it. */
async function serving(base: string) {
  const args = ["run", "-A", "--no-check", MAIN, "status", "--serve", "127.0.0.1:0"];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, "--run-dir", base],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  const url = value!.trim();
  const end = async () => {
    child.kill("SIGINT");
    await reader.cancel();
    return (await child.status).code;
  };
  return { url, end };
}

/** A request with a header Host of our own, which fetch does not allow. */
async function raw(port: string, head: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await connection.write(new TextEncoder().encode(`${head}\r\nConnection: close\r\n\r\n`));
  return await new Response(connection.readable).text();
}

Deno.test("status --serve shows a run until its end, to nobody without the token, and changes nothing", async () => {
  const base = await Deno.makeTempDir();
  const run = await runningIn(base);
  const { url, end } = await serving(base);
  try {
    run.board.note({ event: "phase", phase: "mirror" });
    assertMatch(url, /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\/$/);
    const [, port = "", token = ""] = /:(\d+)\/([\w-]+)/.exec(url)!;

    const answer = await fetch(url);
    const text = await answer.text();
    assertEquals([answer.status, text.includes("hush-hush")], [200, false]);
    assertStringIncludes(text, "<h1>Migration of guest &#60;i&#62;vm1&#60;/i&#62;");
    assertStringIncludes(text, `<body data-live="/${token}/run/4711/data">`);
    assertEquals(text.includes('<meta http-equiv="Content-Security-Policy"'), false);
    const header = (name: string) => answer.headers.get(name);
    const rules = header("content-security-policy")!;
    assertMatch(rules, /^default-src 'none'; script-src 'sha256-.*connect-src 'self'; frame-anc/);
    assertEquals(rules.includes("unsafe"), false);
    assertEquals(
      ["cache-control", "referrer-policy", "x-content-type-options", "x-frame-options"].map(header),
      ["no-store", "no-referrer", "nosniff", "DENY"],
    );
    assertEquals(header("access-control-allow-origin"), null);

    const data = `${url}run/4711/data`;
    const live = await (await fetch(data)).json();
    assertEquals(live.data.phases.map(({ phase }: { phase: string }) => phase), ["mirror"]);
    assertStringIncludes(live.tables, "<caption>Phases</caption>");

    for (const path of [url.replace(token, "x"), `http://127.0.0.1:${port}/`, `${url}run/1`]) {
      const refused = await fetch(path);
      assertEquals([refused.status, (await refused.text()).includes("vm1")], [404, false], path);
    }
    const posted = await fetch(url, { method: "POST", body: "x" });
    await posted.body?.cancel();
    assertEquals([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
    // What a browser sends after a name of another site was changed to this address.
    const rebound = await raw(port, `GET /${token}/ HTTP/1.1\r\nHost: evil.example:${port}`);
    assertMatch(rebound, /^HTTP\/1.1 403 /);
    assertEquals(rebound.includes("vm1"), false);

    run.board.note({ event: "phase", phase: "done" });
    run.board.note(RESULT);
    await run.end();
    await Deno.remove(`${base}/run-1`, { recursive: true });
    const last = await (await fetch(data)).json();
    assertEquals([last.data.result.outcome, last.gone], ["migrated", ""]);
    assert(last.summary.includes("The guest is at the destination"), last.summary);
    // Nothing will change any more: a page that is loaded now does not ask again.
    assertStringIncludes(await (await fetch(url)).text(), '<body data-live="">');
  } finally {
    assertEquals(await end(), 0);
    await Deno.remove(base, { recursive: true });
  }
});

Deno.test("status --serve without a run says so, and looks again", async () => {
  const base = await Deno.makeTempDir();
  const { url, end } = await serving(base);
  try {
    const text = await (await fetch(url)).text();
    assertStringIncludes(text, "No migration runs on this host");
    assertStringIncludes(text, '<meta http-equiv="refresh" content="5">');
  } finally {
    assertEquals(await end(), 0);
    await Deno.remove(base, { recursive: true });
  }
});
