import { delay, systemClock } from "../../../src/io/mod.ts";
import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";
import { Chromium } from "./lab/chromium.ts";
import { assertSame, dataOf } from "./lab/page.ts";

/** How long the connection is cut, ms. */
const CUT_MS = 3000;
/** A PDF of less has no picture in it, bytes. */
const LEAST_PDF = 20_000;

/** Pixels of each chart's canvas that are drawn, and its title. */
const CHARTS = `[...document.querySelectorAll(".chart")].map((chart) => {
  const canvas = chart.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let drawn = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) drawn++;
  return { id: chart.id, drawn };
})`;

export const scenario: Scenario = {
  name: "report_browser",
  about: "a browser without a network draws the report of a migration with a cut, and prints it",
  long: true,
  timeoutMs: 300_000,
  async run(context) {
    const reports = await migrated(context);
    const browser = context.use(await Chromium.start());
    const figures: string[] = [];
    for (const [side, path] of Object.entries(reports)) {
      const data = await dataOf(path);
      await browser.open(`file://${path}`);
      const charts = await browser.value(CHARTS) as { id: string; drawn: number }[];
      const wanted = side === "source"
        ? ["chart-disks", "chart-ram", "chart-rates", "chart-trip"]
        : ["chart-rates", "chart-trip"];
      const names = charts.map(({ id }) => id).filter((id) => id !== "chart-throttle");
      if (names.join() !== wanted.join()) {
        throw new Error(`The page of the ${side} has charts ${names}, expected ${wanted}`);
      }
      const blank = charts.filter(({ drawn }) => drawn < 500);
      if (blank.length > 0) throw new Error(`Charts without a curve: ${JSON.stringify(blank)}`);
      const inPage = await browser.value('document.getElementById("data").textContent') as string;
      if (inPage !== JSON.stringify(data).replace(/[<>&\u2028\u2029]/g, escaped)) {
        throw new Error(`The browser finds other data in the page of the ${side}`);
      }
      const colors: unknown[] = [];
      for (const scheme of ["light", "dark"] as const) {
        await browser.screenshot(`${context.dir}/${side}-${scheme}.png`, scheme);
        colors.push(await browser.value("getComputedStyle(document.body).backgroundColor"));
      }
      if (colors[0] === colors[1]) throw new Error(`Light and dark are the same: ${colors}`);
      const pdf = `${context.dir}/${side}.pdf`;
      await browser.print(pdf);
      const { size } = await Deno.stat(pdf);
      if (size < LEAST_PDF) throw new Error(`The PDF of the ${side} has ${size} bytes only`);
      figures.push(`${side}: ${charts.length} charts, PDF of ${size} bytes`);
      await withoutScripts(browser, path);
    }
    const beyond = browser.requests.filter((url) => !url.startsWith("file:"));
    if (beyond.length > 0) throw new Error(`The pages asked for ${beyond}`);
    if (browser.complaints.length > 0) throw new Error(browser.complaints.join("\n"));
    const kept = Deno.env.get("VMFERRY_REPORTS");
    if (kept) await keep(context, kept);
    return figures.join("; ");
  },
};

/** Migrates with a cut in the copy; each side's report says what its process printed. */
async function migrated(context: ScenarioContext): Promise<Record<"source" | "dest", string>> {
  const network = context.use(await Network.create());
  const pair = await Pair.start(context, { network });
  const reports = { source: `${context.dir}/source.html`, dest: `${context.dir}/dest.html` };
  const receive = pair.receive(["--report", reports.dest, "--dead-after", "3"]);
  const migrate = pair.migrate(await receive.address(), [
    ...["--bandwidth", "10M", "--report", reports.source, "--dead-after", "3"],
  ]);
  await migrate.waitEvent("progress", allMove, 120_000);
  await network.cut();
  await migrate.waitEvent("link", (e) => e.state === "down", 60_000);
  await receive.waitEvent("link", (e) => e.state === "down", 60_000);
  await delay(systemClock, CUT_MS);
  await network.restore();
  await assertExit(migrate, 0, 120_000);
  await assertExit(receive, 0, 60_000);
  await pair.assertArrived();
  for (const [side, ferry] of [["source", migrate], ["dest", receive]] as const) {
    const data = await dataOf(reports[side]);
    assertSame(data, ferry);
    const [cut, ...more] = data.cuts;
    if (!cut || more.length > 0 || cut.toMs! - cut.fromMs < CUT_MS) {
      throw new Error(`The ${side} reports the cuts ${JSON.stringify(data.cuts)}`);
    }
    const wanted = ["mirror", "ram", "switchover", "handover", "done"];
    const missing = wanted.filter((phase) => !data.phases.some((one) => one.phase === phase));
    if (missing.length > 0) throw new Error(`The ${side} lacks the phases ${missing}`);
  }
  const { result, pauses } = await dataOf(reports.source);
  const pause = pauses.at(-1)!;
  const { pauseMs } = result as unknown as { pauseMs: number };
  if (Math.abs(pause.toMs! - pause.fromMs - pauseMs) > 250) {
    throw new Error(`The pause is ${JSON.stringify(pause)}, and pauseMs is ${pauseMs}`);
  }
  return reports;
}

async function withoutScripts(browser: Chromium, path: string): Promise<void> {
  await browser.send("Emulation.setScriptExecutionDisabled", { value: true });
  await browser.open(`file://${path}`);
  const text = await browser.value("document.body.innerText") as string;
  const parts = ["The charts need JavaScript", "Phases", "Hosts", "Settings that were given"];
  const missing = [...parts, "Lost connections"].filter((part) => !text.includes(part));
  const count = await browser.value('document.querySelectorAll("canvas").length');
  if (missing.length > 0 || count !== 0) {
    throw new Error(`Without JavaScript the page lacks ${missing}, and has ${count} charts`);
  }
  await browser.send("Emulation.setScriptExecutionDisabled", { value: false });
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** For a look at the pages and pictures. */
async function keep({ dir }: ScenarioContext, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const { name } of Deno.readDirSync(dir)) {
    if (/\.(html|png|pdf)$/.test(name)) await Deno.copyFile(`${dir}/${name}`, `${to}/${name}`);
  }
}
