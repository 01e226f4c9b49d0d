import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

/** Small enough that a pair costs little. */
const SMALL = {
  bytes: 16 << 20,
  guest: { ring: { start: 2048, length: 4096, runId: 9n } },
  disks: [{ from: "raw", to: "raw" }],
} as const;

const SIDES = ["source", "destination"] as const;

/** Commands that write down when they ran, and their environment. */
class Notes {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Flags for both hooks; a line of the log has role, hook, outcome and error. */
  flags(before = ""): string[] {
    const words = "$VMFERRY_ROLE $VMFERRY_HOOK $VMFERRY_OUTCOME $VMFERRY_ERROR";
    const note = `echo ${words} >>${this.#dir}/hooks; env >>${this.#dir}/environment`;
    return [
      ...["--hook-before-switchover", `${note}; echo printed by a hook; ${before || ":"}`],
      ...["--hook-after", note, "--hook-timeout", "5"],
    ];
  }

  async take(): Promise<string[]> {
    const text = await Deno.readTextFile(`${this.#dir}/hooks`).catch(() => "");
    await Deno.remove(`${this.#dir}/hooks`).catch(() => {});
    return text.split("\n").filter((line) => line !== "").map((line) => line.trim());
  }

  async environment(): Promise<string> {
    return await Deno.readTextFile(`${this.#dir}/environment`);
  }
}

/** Hooks run in order and once, a failing one leaves the guest at the source, and no secret reaches them. */
export const scenario: Scenario = {
  name: "hooks",
  about:
    "hooks run before the switchover and after the end on both sides; one that fails or hangs " +
    "leaves the guest at the source, and a secret never reaches them",
  timeoutMs: 280_000,
  slow: true,
  async run(context) {
    const notes = new Notes(context.dir);
    const pair = await Pair.start(context, SMALL);
    const begin = async (source: readonly string[], destination: readonly string[]) => {
      const receive = pair.receive(destination);
      return { receive, migrate: pair.migrate(await receive.address(), source) };
    };

    for (const side of SIDES) {
      context.note(`a hook of the ${side} that fails`);
      const bad = notes.flags("echo no port left >&2; exit 3");
      const { receive, migrate } = await begin(
        side === "source" ? bad : notes.flags(),
        side === "source" ? notes.flags() : bad,
      );
      await Promise.all([assertFailed(migrate, side), assertFailed(receive, side)]);
      const expected = [
        "source before-switchover",
        ...(side === "destination" ? ["destination before-switchover"] : []),
        "destination after failed hook-failed",
        "source after failed hook-failed",
      ];
      assertSame(side, await notes.take(), expected);
      await pair.assertStillAtSource();
    }

    context.note("a hook that hangs, with a child");
    const hangs = await begin(notes.flags(`sleep 4711 & wait`), notes.flags());
    await assertExit(hangs.migrate, 1);
    await assertExit(hangs.receive, 1);
    const { error } = await hangs.migrate.waitEvent("result") as unknown as {
      error: { code: string; message: string };
    };
    if (error.code !== "hook-failed" || !/took longer than 5 s/.test(error.message)) {
      throw new Error(`A hook that hangs: ${error.code}, ${error.message}`);
    }
    await assertNoSleep(context);
    await notes.take();
    await pair.assertStillAtSource();

    context.note("a cancel while the destination's hook runs");
    const cancelled = await begin(notes.flags(), notes.flags("sleep 4711"));
    await poll("the destination's hook to run", async () => {
      const text = await Deno.readTextFile(`${context.dir}/hooks`).catch(() => "");
      return text.includes("destination before-switchover") || undefined;
    });
    cancelled.migrate.signal("SIGINT");
    await assertExit(cancelled.migrate, 5);
    await assertExit(cancelled.receive, 5);
    const after = (await notes.take()).filter((line) => line.includes(" after "));
    assertSame("cancel", after, [
      "destination after cancelled cancelled",
      "source after cancelled cancelled",
    ]);
    await assertNoSleep(context);
    await pair.assertStillAtSource();

    context.note(
      "hooks of a migration that succeeds; a child is left behind, and the last hook fails",
    );
    const left = notes.flags(`sleep 60 & echo $! >${context.dir}/child`);
    const last = [...notes.flags(), "--hook-after"].map((word, i, all) =>
      all[i - 1] === "--hook-after" ? `${word}; echo late >&2; exit 1` : word
    ).slice(0, -1);
    const good = await begin(left, last);
    await assertExit(good.migrate, 0);
    await assertExit(good.receive, 0);
    assertSame("success", (await notes.take()).toSorted(), [
      "destination after done",
      "destination before-switchover",
      "source after done",
      "source before-switchover",
    ]);
    await assertOrder(good.migrate, pair);
    const warning = good.receive.events.entries.find((e) => e.event === "warning");
    if (warning?.code !== "hook-failed" || !/ended with 1: "late"/.test(String(warning.message))) {
      throw new Error(`The hook's failure was reported as ${JSON.stringify(warning)}`);
    }
    const secret = (await Deno.readTextFile(pair.secretFile)).trim();
    if ((await notes.environment()).includes(secret)) throw new Error("A hook saw the secret");
    const child = Number(await Deno.readTextFile(`${context.dir}/child`));
    // Throws if vmferry has ended the child of a hook that succeeded.
    Deno.kill(child, "SIGKILL");
    const pause = await pair.pauseMs();
    await pair.assertArrived();
    return `pause ${pause.toFixed(1)} ms`;
  },
};

async function assertFailed(ferry: Vmferry, side: string): Promise<void> {
  await assertExit(ferry, 1);
  const { error } = await ferry.waitEvent("result") as unknown as {
    error: { code: string; side: string; message: string };
  };
  const words = `${error.code} ${error.side}`;
  if (words !== `hook-failed ${side}` || !error.message.includes("no port left")) {
    throw new Error(`${ferry.name}: ${words}: ${error.message}`);
  }
}

function assertSame(what: string, got: readonly string[], expected: readonly string[]): void {
  const [a, b] = [got, expected].map((lines) => [...lines].sort().join("\n"));
  if (a !== b) throw new Error(`${what}: hooks ran as ${JSON.stringify(got)}`);
}

/** The hook has ended before RAM crosses, and long before the guest is paused. */
async function assertOrder(migrate: Vmferry, pair: Pair): Promise<void> {
  const ram = await migrate.waitEvent("phase", (e) => e.phase === "ram");
  const stop = await pair.source.events.waitFor("STOP", (e) => e.event === "STOP");
  if (stop.timestampMs < Date.parse(ram.time) - 1000) {
    throw new Error("The guest was paused before RAM crossed");
  }
}

async function assertNoSleep(context: ScenarioContext): Promise<void> {
  context.note("no process of a hook is left");
  // A process that was killed is there until the kernel has run it once more.
  await poll("the hook's processes to end", async () => {
    const { stdout } = await new Deno.Command("ps", { args: ["-eo", "stat,args"] }).output();
    const left = new TextDecoder().decode(stdout).split("\n")
      .filter((line) => /sleep 4711/.test(line) && !/^Z/.test(line));
    return left.length === 0 || undefined;
  }, 10_000);
}
