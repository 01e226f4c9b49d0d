/**
 * One cell of the matrix: a migration, a fault in one of its phases, what its users do then, and the
 * rules that hold whatever happened.
 *
 * @module
 */
import { Network } from "../scenarios/support/network.ts";
import { Pair } from "../scenarios/pair/pair.ts";
import { assertNotCancelledLate } from "../scenarios/pair/pair_outcome.ts";
import { filledMemory } from "../scenarios/pair/filled_memory.ts";
import { MiB, type PairOptions } from "../scenarios/pair/pair_options.ts";
import type { Qemu } from "../scenarios/support/qemu.ts";
import { assertExit, type ScenarioContext } from "../scenarios/support/scenario.ts";
import type { Vmferry } from "../scenarios/support/vmferry.ts";
import type { Fault } from "./faults.ts";
import { type Outcome, outcomesOf } from "./outcomes.ts";
import type { Phase } from "./phases.ts";
import { MEMORY_MIB } from "./postcopy_phases.ts";
import type { Run } from "./run.ts";
import { sh } from "../support/sh.ts";

/** How a cell ended. */
export interface Row {
  readonly phase: string;
  readonly fault: string;
  /** Exit codes: of `migrate` and `receive`, those that were started again included. */
  readonly migrate: readonly number[];
  readonly receive: readonly number[];
  /** Where the guest was when all was over. */
  readonly guest: "source" | "destination" | "lost with its QEMU";
  /** What the source said, else the destination. */
  readonly said: string;
}

const BYTES = 16 * MiB;
const END_MS = 100_000;

/** Rejects when `migrate` ends: what waits for the phase would wait until its deadline. */
function endedEarly(migrate: Vmferry, { name }: Phase): Promise<never> {
  const ended = migrate.ended.then((code) => {
    throw new Error(`migrate ended with ${code} before "${name}" was reached`);
  });
  ended.catch(() => {});
  return ended;
}

/** Plays one cell; throws when a rule was broken. */
export async function playCell(context: ScenarioContext, phase: Phase, fault: Fault): Promise<Row> {
  const network = fault.network ? context.use(await Network.create()) : undefined;
  const small = fault.small ? await smallFileSystem(context) : undefined;
  const pair = await Pair.start(context, {
    gated: true,
    bytes: BYTES,
    ...await memoryOf(context, phase),
    guest: { ramPages: 1024, ramStep: 2, ring: RING },
    ...(network ? { network } : {}),
    ...(small ? { destinationDirs: { 0: small, 1: small } } : {}),
  });
  const options = fault.options ?? [];
  const receive = pair.receive(options);
  const address = await receive.address();
  const armed = phase.arm(pair);
  const migrate = pair.migrate(address, [...options, ...phase.options]);
  const run: Run = { pair, network, small, receive, migrate };
  await Promise.race([armed.reached(run), endedEarly(migrate, phase)]);
  context.note(`${phase.name} reached`);
  await fault.apply(run);
  context.note(`${fault.name} done`);
  const killed: Vmferry[] = fault.kills ? [run[fault.kills]] : [];
  // Its user starts it again at once.
  if (fault.kills === "receive") run.receive = pair.receive(["--resume"]);
  if (fault.kills === "migrate") run.migrate = pair.migrate(address, ["--resume"]);
  await armed.release(run);

  const codes = {
    migrate: [await run.migrate.exit(END_MS)],
    receive: [await run.receive.exit(END_MS)],
  };
  await fault.repair?.(run);
  const said = await lastWords(run);
  context.note(`migrate ${codes.migrate}, receive ${codes.receive}: ${said}`);
  checkTruth(run, codes.migrate[0]!, fault, phase);
  if (codes.migrate[0] === 5 && codes.receive[0] !== 5) {
    throw new Error(`cancelled at the source, and exit ${codes.receive} at the destination`);
  }
  if (phase.postcopy && codes.migrate[0] === 4) await recoverPostcopy(run, address, fault);
  else await recoverAll(run, codes.migrate[0]!);
  if (fault.kills && (codes.receive[0] === 3 || codes.migrate[0] === 3)) {
    // The migration could not be resumed.
    await assertExit(pair.recover(sideOf(fault.kills), ["--yes"]), 0, END_MS);
  }
  checkOverlap(pair);
  assertNotCancelledLate(pair);
  for (const tool of killed) {
    if (tool.strayLines.length > 0) throw new Error(`${tool.name} said ${tool.strayLines[0]}`);
  }
  const guest = await finalCheck(context, run, codes.migrate[0] === 0);
  const row: Row = { phase: phase.name, fault: fault.name, ...codes, guest, said };
  assertExpected(row);
  return row;
}

const LETTER = { "source": "S", "destination": "D", "lost with its QEMU": "-" } as const;

/** As the table of outcomes writes it. */
export function outcomeOf({ guest, migrate }: Row): Outcome {
  return `${LETTER[guest]} ${migrate.at(-1)!}`;
}

/** @throws {Error} when the table of outcomes does not allow this one. */
export function assertExpected(row: Row): void {
  const outcome = outcomeOf(row);
  const expected = outcomesOf(row.phase, row.fault);
  if (expected.includes(outcome)) return;
  throw new Error(
    `${outcome}, expected ${expected.join(" or ")} as in tests/matrix/outcomes.ts: ${row.said}`,
  );
}

const RING = { start: 2048, length: 4096, runId: 0x5eed_0002_0000_0001n };

/** The exit code is true: 0 says that the guest runs at the destination, 1, 3 and 5 that it does here. */
function checkTruth(run: Run, code: number, fault: Fault, phase: Phase): void {
  const { pair } = run;
  const there = runsNow(pair.destination);
  const here = runsNow(pair.source);
  const dead = fault.ends !== undefined;
  if (code === 0 && !there && !dead) throw new Error("migrated, but the destination does not run");
  if ([1, 3, 5].includes(code) && !here && fault.ends !== "source") {
    throw new Error(`exit ${code}, but the source does not run`);
  }
  if (code === 4 && here) throw new Error("unknown, but the source runs");
  if (code === 4 && !phase.handedOver) throw new Error("unknown before anything was handed over");
  if (fault.harmless && code !== 0) throw new Error(`exit ${code} after what only costs time`);
  if (fault.kills && phase.resumable.includes(fault.kills) && code !== 0) {
    throw new Error(`exit ${code} where the migration could be resumed`);
  }
}

function sideOf(tool: "migrate" | "receive"): "source" | "dest" {
  return tool === "migrate" ? "source" : "dest";
}

/** Whether a QEMU runs its guest, from its own events. */
function runsNow(qemu: Qemu): boolean {
  if (qemu.ended) return false;
  const last = qemu.events.entries.findLast((e) => e.event === "STOP" || e.event === "RESUME");
  return last ? last.event === "RESUME" : qemu.name === "source";
}

/** Rule 1: from the QEMUs' own clocks, which are one here. */
function checkOverlap({ source, destination }: Pair): void {
  const resumed = destination.events.entries.find((e) => e.event === "RESUME");
  if (!resumed) return;
  const changes = source.events.entries.filter((e) => e.event === "STOP" || e.event === "RESUME");
  const before = changes.findLast((e) => e.timestampMs <= resumed.timestampMs);
  const ranThen = (!before || before.event === "RESUME") &&
    source.endedAtMs > resumed.timestampMs;
  const until = destination.endedAtMs;
  const after = changes.some(({ event, timestampMs: at }) =>
    event === "RESUME" && at > resumed.timestampMs && at < until
  );
  if (ranThen || after) throw new Error("Both QEMUs have run the guest (rule 1)");
}

/** What a tool that ended without its undoing has left is put right as the docs say. */
async function recoverAll(run: Run, code: number): Promise<void> {
  const { pair } = run;
  if (code !== 4) return;
  const there = runsNow(pair.destination);
  if (there) {
    // Its user has looked: the guest is there, so this QEMU can go.
    await pair.source.quit();
    await assertExit(pair.recover("source", ["--force-run-here"]), 0, END_MS);
  } else {
    await pair.destination.quit();
    await assertExit(pair.recover("source", ["--yes"]), 4, END_MS);
    await assertExit(pair.recover("source", ["--force-run-here"]), 0, END_MS);
  }
}

/** The guest's RAM; after the switch to post-copy it takes some seconds to cross. */
async function memoryOf(
  context: ScenarioContext,
  { postcopy }: Phase,
): Promise<Partial<PairOptions>> {
  if (!postcopy) return { memoryMiB: 64 };
  const dir = await Deno.makeTempDir({ dir: "/dev/shm" });
  context.use({ [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) });
  const memory = await filledMemory(`${dir}/memory`, MEMORY_MIB);
  return {
    ...{ memoryMiB: MEMORY_MIB, sourceExtra: memory.source, destinationExtra: memory.destination },
  };
}

/** The guest needs both QEMUs. Without the destination's, it runs at the source, as it was at the switchover. */
async function recoverPostcopy({ pair }: Run, address: string, { ends }: Fault): Promise<void> {
  if (ends === undefined) {
    const receive = pair.receive(["--resume"]);
    const migrate = pair.migrate(address, ["--resume"]);
    await assertExit(migrate, 0, END_MS);
    await assertExit(receive, 0, END_MS);
    return;
  }
  if (ends === "destination") {
    await assertExit(pair.recover("source", ["--yes"]), 4, END_MS);
  } else {
    // It answers no `quit` while its guest waits for a page.
    await pair.destination.crash();
  }
  for (const side of ["source", "dest"] as const) {
    await assertExit(pair.recover(side, ["--force-run-here"]), 0, END_MS);
  }
}

/** Everything is in its place, and the next try works at once. */
async function finalCheck(
  context: ScenarioContext,
  run: Run,
  migrated: boolean,
): Promise<Row["guest"]> {
  const { pair } = run;
  if (runsNow(pair.destination)) {
    await pair.assertArrived();
    return "destination";
  }
  if (migrated || await pair.source.gone()) {
    if (migrated && runsNow(pair.source)) {
      throw new Error("It was said to have moved, and runs here");
    }
    await pair.assertLost();
    return "lost with its QEMU";
  }
  const used = await incomingUsed(pair.destination);
  await pair.assertStillAtSource({ destinationGone: used });
  if (used) await pair.renewDestination();
  context.note("once more");
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address());
  await assertExit(migrate, 0, END_MS);
  await assertExit(receive, 0, END_MS);
  await pair.assertArrived();
  return "source";
}

async function incomingUsed(qemu: Qemu): Promise<boolean> {
  if (await qemu.gone()) return true;
  const info = await qemu.execute<{ status?: string; "socket-address"?: unknown }>("query-migrate");
  // QEMU 7.2 has no status before the first byte arrives on the socket that it listens on.
  return info["socket-address"] !== undefined || (info.status ?? "none") !== "none";
}

async function lastWords({ migrate, receive }: Run): Promise<string> {
  for (const tool of [migrate, receive]) {
    const result = tool.events.entries.findLast((e) => e.event === "result");
    const error = result?.error as { side: string; message: string } | null | undefined;
    if (error) return `${error.side}: ${error.message}`;
  }
  return await Promise.resolve("");
}

async function smallFileSystem(context: ScenarioContext): Promise<string> {
  const path = `${context.dir}/small`;
  await Deno.mkdir(path);
  await sh("mount", "-t", "tmpfs", "-o", "size=160m", "none", path);
  context.use({ [Symbol.asyncDispose]: () => sh("umount", "-l", path) });
  return path;
}
