/**
 * Ends a launch from its journal, once its process is gone.
 *
 * @module
 */
import { lookAt } from "../../host/mod.ts";
import { delay, messageOf } from "../../io/mod.ts";
import { QmpClient } from "../../qmp/mod.ts";
import type { LaunchHost } from "./host.ts";
import { lookAtQemu } from "./qemu/qemu.ts";
import type { LaunchRecord } from "./record.ts";
import { removeLaunch, removePidFile } from "./remove.ts";

/** How long QEMU may take to accept the connection that has found out whether it runs, ms. */
const ACCEPT_MS = 2_000;
/** Pause between two attempts, ms. */
const RETRY_MS = 50;

/** What is known of the guest: nothing but the journal, or that another host has it. */
export type GuestWord = "unknown" | "elsewhere";

/** How it ended. */
export interface LaunchEnd {
  /** Nothing is left that the journal is needed for. */
  readonly forget: boolean;
  /** It never had the guest, and its QEMU has ended: nothing is left of its migration either. */
  readonly undone: boolean;
  /** What was done, for the log. */
  readonly message: string;
  /** What could not be undone, and files of other programs in its places. */
  readonly left: readonly string[];
}

/**
 * Settles it: finishes the undo, or leaves everything where the guest may be here. Never rejects.
 *
 * @param word `elsewhere` where a source has the guest for certain.
 */
export async function settleLaunch(
  host: LaunchHost,
  record: LaunchRecord,
  word: GuestWord,
): Promise<LaunchEnd> {
  const what = `the launch of ${record.name} that was cut off`;
  if (record.state === "committed" || record.state === "undone") {
    const undone = record.state === "undone";
    return { forget: true, undone, message: `${what} had ended`, left: [] };
  }
  try {
    const { site } = record.qemu;
    const { state } = await lookAtQemu(host, record);
    const isRunning = state === "running";
    if (record.mayHaveGuest && word !== "elsewhere") {
      // Then nobody has to find out where the guest is.
      const isSettled = !isRunning || await runsGuest(host, record.qmp);
      if (isSettled) await removePidFile(host, record);
      const stays = `${what} may have brought its guest here: its files stay`;
      return { forget: isSettled, undone: false, message: stays, left: [] };
    }
    // Held until QEMU has ended: no other process can give it a guest meanwhile.
    const mayEnd = !site && (word === "elsewhere" || await isBeginning(host, record));
    await using waiting = isRunning && !mayEnd ? await waitingQemu(host, record.qmp) : undefined;
    if (waiting?.problem !== undefined) {
      const { problem } = waiting;
      return { forget: false, undone: false, message: `${what}: ${problem}`, left: [problem] };
    }
    // Where no QEMU waits, --stop might stop one that somebody else has started since.
    const hasEnded = site && !isRunning;
    const { left, foreign } = await removeLaunch(
      host,
      hasEnded ? { ...record, state: "preparing" } : record,
    );
    const undone = left.length === 0;
    const message = `${what} is undone`;
    return { forget: undone, undone, message, left: [...left, ...foreign] };
  } catch (error) {
    const message = `${what}: ${messageOf(error)}`;
    return { forget: false, undone: false, message, left: [message] };
  }
}

/** QEMU has not made its QMP socket yet, without which nobody can give it a guest. */
async function isBeginning({ run }: LaunchHost, { state, qmp }: LaunchRecord): Promise<boolean> {
  if (state !== "starting") return false;
  const [socket] = await lookAt(run, [qmp]);
  return socket?.state === "missing" && !socket.hidden;
}

/** Whether QEMU says that it runs a guest; one that is paused may still have to be started. */
async function runsGuest(host: LaunchHost, path: string): Promise<boolean> {
  const { clock, log } = host;
  try {
    await using qmp = await QmpClient.open(await connectSoon(host, path), { clock, log });
    return (await qmp.execute("query-status", {})).status === "running";
  } catch (error) {
    log.log("debug", `${path}: ${messageOf(error)}`);
    return false;
  }
}

interface Waiting extends AsyncDisposable {
  /** Why QEMU must not be ended. */
  readonly problem?: string;
}

/** QEMU takes one client at a time: an earlier one, already gone, may still be in its queue. */
async function connectSoon({ clock, connectUnix }: LaunchHost, path: string) {
  for (const until = clock.now() + ACCEPT_MS;; await delay(clock, RETRY_MS)) {
    try {
      return await connectUnix(path);
    } catch (error) {
      if (clock.now() >= until) throw error;
    }
  }
}

/** Makes sure that QEMU waits for a guest and has none. */
async function waitingQemu(host: LaunchHost, path: string): Promise<Waiting> {
  const nothing = { [Symbol.asyncDispose]: () => Promise.resolve() };
  let qmp: QmpClient;
  try {
    const pipe = await connectSoon(host, path);
    qmp = await QmpClient.open(pipe, { clock: host.clock, log: host.log });
  } catch (error) {
    const problem = `its QEMU runs and does not say whether it has the guest: ${messageOf(error)}`;
    return { ...nothing, problem };
  }
  const dispose = { [Symbol.asyncDispose]: () => qmp[Symbol.asyncDispose]() };
  try {
    const { status } = await qmp.execute("query-status", {});
    // Loaded, it is paused, as a guest is that has come here paused.
    if (status === "inmigrate") return dispose;
    return { ...dispose, problem: `its QEMU has a guest (${status}); see 'vmferry recover'` };
  } catch (error) {
    return { ...dispose, problem: messageOf(error) };
  }
}
