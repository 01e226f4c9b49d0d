import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { allMove, vmferryPath } from "../support/vmferry.ts";
import { Chromium } from "./lab/chromium.ts";

/** How often the page is looked at, and how long it may take, ms. */
const LOOK_MS = 200;
const WAIT_MS = 60_000;

export const scenario: Scenario = {
  name: "report_live",
  about: "a browser follows a running migration by status --serve to its result",
  long: true,
  timeoutMs: 240_000,
  async run(context) {
    const pair = await Pair.start(context);
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", "10M"]);
    await migrate.waitEvent("progress", allMove, 120_000);
    const child = new Deno.Command(vmferryPath(), {
      args: ["status", "--serve", "127.0.0.1:0", "--run-dir", pair.runDir("source")],
      ...{ stdin: "null", stdout: "piped", stderr: "inherit" },
    }).spawn();
    context.use({
      [Symbol.asyncDispose]: async () => {
        child.kill("SIGTERM");
        await child.status;
      },
    });
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const url = (await reader.read()).value!.trim();
    await reader.cancel();
    const browser = context.use(await Chromium.start());
    await browser.open(url);
    const phases = () => browser.value(TEXT_OF_PHASES) as Promise<string>;
    const early = await phases();
    if (!early.includes("mirror")) throw new Error(`The page shows the phases "${early}"`);
    await until(browser, 'document.querySelectorAll(".chart canvas").length >= 3');
    await until(browser, `(${TEXT_OF_PHASES}).includes("ram")`);
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0, 60_000);
    await until(browser, 'document.querySelector(".outcome.migrated") !== null');
    if (browser.complaints.length > 0) throw new Error(browser.complaints.join("\n"));
    const beyond = browser.requests.filter((each) => !each.startsWith(new URL(url).origin));
    if (beyond.length > 0) throw new Error(`The page asked for ${beyond}`);
    await browser.screenshot(`${context.dir}/live.png`, "light");
    await pair.assertArrived();
    return `${browser.requests.length} requests`;
  },
};

const TEXT_OF_PHASES = '[...document.querySelectorAll("table")]' +
  '.find((table) => table.caption?.textContent === "Phases")?.textContent ?? ""';

/** Waits until an expression is true in the page. */
async function until(browser: Chromium, expression: string): Promise<void> {
  const looks = Math.ceil(WAIT_MS / LOOK_MS);
  const isTrue = await browser.value(`(async () => {
    for (let i = 0; i < ${looks}; i++) {
      if (${expression}) return true;
      await new Promise((done) => setTimeout(done, ${LOOK_MS}));
    }
    return false;
  })()`);
  if (!isTrue) throw new Error(`Not within ${WAIT_MS / 1000} s in the page: ${expression}`);
}
