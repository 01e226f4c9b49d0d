/**
 * The source's side of a launch: has the destination build the machine and start its QEMU.
 *
 * @module
 */
import type { Clock, Logger } from "../../io/mod.ts";
import {
  type Arrange,
  type DestinationPeer,
  ERRORS,
  isErrorCode,
  MigrationError,
  patience,
  refusalOf,
  type Report,
} from "../../migrate/mod.ts";
import { type Params, RpcError } from "../../rpc/mod.ts";
import type { MachineDescription } from "../description.ts";
import type { LaunchPlan } from "../plan/plan.ts";
import type { LaunchWishes } from "../plan/wishes.ts";
import { describeSource, type MachineAccess } from "./machine.ts";
import { makePlan, type PlanOptions } from "./plan.ts";
import { type OpenFile, sendFiles } from "./send.ts";

/** How long the destination may take to create everything, ms, without the time to allocate images. */
const PREPARE_MS = 600_000;
/** The slowest disk on which a whole image is allocated, bytes per ms. */
const ALLOCATE_BYTES_PER_MS = 20_000;
/**
 * How long its QEMU may take to answer, ms. The destination decides that (`destination/qemu/start.ts`), and
 * answers at once when QEMU ends; this only has to be longer.
 */
const START_MS = 660_000;

/** What the source of a launch needs. */
export interface LaunchSourceOptions
  extends MachineAccess, Pick<PlanOptions, "wishes" | "qmpPath" | "realPath" | "describeHost"> {
  /** The options of the launch. */
  readonly wishes: LaunchWishes;
  /** Opens a file to send it. */
  readonly open: (path: string) => Promise<OpenFile>;
  /** Gets the events. */
  readonly report: Report;
  /** Called with the description of the source's machine, before the plan. */
  readonly described?: (description: MachineDescription) => void;
  /** Called when the destination's QEMU answers: what it is, and the file or journal with its output, if it is known. */
  readonly started?: (qemu: { readonly what: string; readonly log: string }) => void;
  /** The debug log. */
  readonly log: Logger;
  /** Time, injected. */
  readonly clock: Clock;
}

/**
 * Builds the destination for a migration.
 *
 * The function throws {MigrationError} kind `refused` with every problem of both sides before anything
 * is created there; afterwards an error of the destination, which has undone everything or does so when the
 * source aborts.
 */
export function launchBy(options: LaunchSourceOptions): Arrange {
  return async (peer, { migration, guest, disks, signal }) => {
    const { report, log } = options;
    report({ event: "phase", phase: "launch" });
    const description = await describeSource(options, guest);
    options.described?.(description);
    const plan = await makePlan(peer, { ...options, description, disks, signal });
    for (const message of plan.findings.warnings) {
      report({ event: "warning", code: "launch", message });
    }
    if (plan.findings.problems.length > 0) throw refusalOf(plan.findings.problems);
    await call(
      peer,
      "prepareLaunch",
      prepareParams(plan, migration, guest),
      prepareMs(plan),
      signal,
    )
      .catch((error) => {
        throw asRefusal(error);
      });
    await sendFiles(plan.copies, { ...options, peer, signal });
    const { started: what, log: output } = await call(
      peer,
      "startLaunch",
      { migration },
      START_MS + 2 * (plan.site?.timeoutMs ?? 0),
      signal,
    );
    log.log("info", `the destination's QEMU is ${what}`);
    options.started?.({ what, log: output });
    report({ event: "phase", phase: "prepare" });
  };
}

/** What the destination found before it created anything, as a refusal; any other error as it is. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof RpcError) || !isErrorCode(error.code)) return error;
  const { code, message, problems } = error;
  if (ERRORS[code].kinds.some((kind) => kind !== "refused")) return error;
  return new MigrationError("refused", code, "destination", message, { cause: error, problems });
}

function prepareMs({ images }: LaunchPlan): number {
  const bytes = images.reduce(
    (sum, { allocated, sizeBytes }) => sum + (allocated ? sizeBytes : 0),
    0,
  );
  return PREPARE_MS + bytes / ALLOCATE_BYTES_PER_MS;
}

function prepareParams(
  plan: LaunchPlan,
  migration: string,
  { name, uuid }: { readonly name: string | null; readonly uuid: string | null },
): Params<"prepareLaunch"> {
  return {
    migration,
    guest: { name, uuid },
    directories: [...plan.directories],
    images: [...plan.images],
    copies: plan.copies.map(({ from: _, ...copy }) => copy),
    reuse: [...plan.reuse],
    start: plan.start,
  };
}

async function call<P extends "prepareLaunch" | "startLaunch">(
  peer: DestinationPeer,
  name: P,
  params: Params<P>,
  ms: number,
  signal: AbortSignal,
) {
  const { stallMs: timeoutMs, progress } = patience(ms, () => peer.session);
  return await peer.rpc.call(name, params, { timeoutMs, progress, signal });
}
