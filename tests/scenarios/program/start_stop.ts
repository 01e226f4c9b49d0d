import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

/** Small enough that a pair costs little. */
const SMALL = {
  bytes: 16 << 20,
  guest: { ring: { start: 2048, length: 4096, runId: 10n } },
  disks: [{ from: "raw", to: "raw" }],
} as const;

/** The destination's host, as far as its two commands go: `start` has this process start QEMU. */
class Site implements Disposable {
  readonly #dir: string;
  readonly #pair: Pair;
  #isOver = false;
  /** QEMU is started only when this is false. */
  held = false;

  constructor(dir: string, pair: Pair) {
    this.#dir = dir;
    this.#pair = pair;
    this.#serve();
  }

  /** Flags for `receive`. */
  flags(start = this.#start()): string[] {
    const stop = `echo stop $VMFERRY_ROLE >>${this.#dir}/site; test ! -e ${this.#dir}/pid || ` +
      `kill $(cat ${this.#dir}/pid)`;
    return ["--start", start, "--stop", stop, "--hook-timeout", "20"];
  }

  #start(): string {
    return `echo start $VMFERRY_ROLE >>${this.#dir}/site; touch ${this.#dir}/wanted; ` +
      `while [ ! -e ${this.#dir}/there ]; do sleep 0.05; done; rm ${this.#dir}/there`;
  }

  /** The commands that have run since the last call. */
  async take(): Promise<string> {
    const text = await this.#read();
    await Deno.remove(`${this.#dir}/site`).catch(() => {});
    return text.trim().split("\n").join(", ");
  }

  async waitFor(line: string): Promise<void> {
    await poll(`the command ${line}`, async () => (await this.#read()).includes(line) || undefined);
  }

  async #read(): Promise<string> {
    return await Deno.readTextFile(`${this.#dir}/site`).catch(() => "");
  }

  async #serve(): Promise<void> {
    while (!this.#isOver) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (this.held) continue;
      const wanted = await Deno.remove(`${this.#dir}/wanted`).then(() => true, () => false);
      if (!wanted) continue;
      await this.#pair.renewDestination();
      await Deno.writeTextFile(`${this.#dir}/there`, "");
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
  }
}

/** A waiting destination starts QEMU when a source comes, and stops it unless the guest has come. */
export const scenario: Scenario = {
  name: "start_stop",
  about:
    "a waiting destination starts QEMU by a command once a source comes, and stops it unless " +
    "the guest arrives",
  timeoutMs: 280_000,
  long: true,
  async run(context) {
    const pair = await Pair.start(context, {
      ...SMALL,
      destinationExtra: ["-pidfile", `${context.dir}/pid`],
    });
    using site = new Site(context.dir, pair);

    context.note("a QEMU that is there already is refused, and not stopped");
    const there = pair.receive(site.flags());
    await assertExit(there, 3);
    await assertCode(there, "already-started", /already answers/);
    assertRan("already there", await site.take(), "");
    await pair.destination.quit();

    context.note("a start that fails, and a QEMU that never answers");
    for (
      const [start, reason] of [
        ["echo no such unit >&2; exit 3", /ended with 3: "no such unit"/],
        [":", /QEMU does not listen on .* after 2 s/],
      ] as const
    ) {
      const flags = site.flags(start).slice(0, -1);
      const receive = pair.receive([...flags, "2"]);
      const migrate = pair.migrate(await receive.address());
      await Promise.all([assertExit(receive, 1), assertExit(migrate, 1)]);
      await assertCode(receive, "start-failed", reason);
      await assertCode(migrate, "start-failed", reason);
      assertRan(start, await site.take(), "stop destination");
    }

    context.note("a check, and a source whose hook fails, each with a QEMU of their own");
    const receive = pair.receive(site.flags());
    const address = await receive.address();
    assertRan("nobody has come", await site.take(), "");
    await check(context, pair, address);
    await site.waitFor("stop");
    await poll("QEMU to have ended", async () => await pair.destination.gone() || undefined);
    assertRan("check", await site.take(), "start destination, stop destination");
    const failing = pair.migrate(address, ["--hook-before-switchover", "exit 1"]);
    await assertExit(failing, 1);
    await assertExit(receive, 1);
    await assertCode(receive, "hook-failed", /ended with 1/);
    assertRan("failure", await site.take(), "start destination, stop destination");
    await pair.assertStillAtSource({ destinationGone: true });

    context.note("a source that is killed while QEMU is started, then a cancel of the destination");
    site.held = true;
    const waiting = pair.receive([...site.flags(), "--grace", "1"]);
    const killed = pair.migrate(await waiting.address(), ["--grace", "1"]);
    await site.waitFor("start");
    killed.signal("SIGKILL");
    await killed.exit();
    await site.waitFor("stop");
    await waiting.waitEvent("warning", (e) => e.code === "source-left");
    assertRan("killed", await site.take(), "start destination, stop destination");
    const next = pair.migrate(await waiting.address(), ["--resume"]);
    await site.waitFor("start");
    waiting.signal("SIGTERM");
    await Promise.all([assertExit(waiting, 5), assertExit(next, 1)]);
    await assertCode(next, "cancelled", /Cancelled by SIGTERM at the destination/);
    assertRan("cancel", await site.take(), "start destination, stop destination");
    await pair.assertStillAtSource({ destinationGone: true });
    await Deno.remove(`${context.dir}/wanted`).catch(() => {});

    context.note("a QEMU that takes longer than one answer to its source, and the guest comes");
    const good = pair.receive(site.flags());
    const migrate = pair.migrate(await good.address());
    await site.waitFor("start");
    await new Promise((resolve) => setTimeout(resolve, 11_000));
    site.held = false;
    await Promise.all([assertExit(migrate, 0), assertExit(good, 0)]);
    assertRan("success", await site.take(), "start destination");
    await pair.assertArrived();
  },
};

async function check(context: ScenarioContext, pair: Pair, address: string): Promise<void> {
  const secret = ["--secret-file", pair.secretFile, address];
  const args = ["check", "--json", "--qmp", pair.source.qmpSocket, ...secret];
  const ferry = context.vmferry({ name: "check", args });
  await assertExit(ferry, 0);
}

async function assertCode(ferry: Vmferry, code: string, reason: RegExp): Promise<void> {
  const { error } = await ferry.waitEvent("result") as unknown as {
    error: { code: string; message: string };
  };
  if (error.code === code && reason.test(error.message)) return;
  throw new Error(`${ferry.name}: ${error.code}: ${error.message}`);
}

function assertRan(when: string, got: string, expected: string): void {
  if (got !== expected) throw new Error(`${when}: "${got}" ran, expected "${expected}"`);
}
