/**
 * The journals of `receive --launch` in the run directories: each line is a whole `LaunchRecord`
 * (src/launch/destination/record.ts).
 *
 * @module
 */
import { type Logger, messageOf } from "../../io/mod.ts";
import {
  type GuestWord,
  type LaunchHost,
  type LaunchRecord,
  parseLaunchRecord,
  settleLaunch,
} from "../../launch/mod.ts";
import { realPath } from "../paths.ts";
import { runFolders } from "./base.ts";
import { DirectoryLock } from "./dir_lock.ts";
import { findJournals, JournalFile, LAUNCH_JOURNAL } from "./journal_file.ts";
import { lastValue } from "./journal_lines.ts";
import { PrivateRunDir } from "./run_dir.ts";

/** How long another process may take that settles, ms: it ends QEMUs and removes files. */
const SETTLING_MS = 30_000;

/** Opens the journal of a launch in `dir`, or begins one. */
export async function openLaunchJournal(dir: string): Promise<JournalFile<LaunchRecord>> {
  return await JournalFile.open<LaunchRecord>(dir, LAUNCH_JOURNAL);
}

/** Which launches are settled, and what is known of their guests. */
export interface Settling {
  /** Only that of the QEMU with this QMP socket, without links. */
  readonly qmp?: string;
  /** `unknown` by default. */
  readonly word?: GuestWord;
}

/**
 * Finishes the undo of launches whose process was killed, under the run directories in `base`. One whose
 * guest may be here stays. Where another process does that already, its end is awaited. Never rejects.
 *
 * @returns what is left, as text.
 */
export async function settleLaunches(
  base: string,
  host: LaunchHost,
  log: Logger,
  { qmp, word = "unknown" }: Settling = {},
): Promise<readonly string[]> {
  const all: string[] = [];
  // What another process removes meanwhile is really gone then. Each run is locked by itself, too.
  using _ = await DirectoryLock.takeWithin(base, SETTLING_MS);
  try {
    for await (const { dir, record } of cutOff(base, log)) {
      if (qmp !== undefined && await realPath(record.qmp) !== qmp) continue;
      const { forget, undone, message, left } = await settleLaunch(host, record, word);
      if (undone) await forgetMigration(base, record);
      log.log(forget ? "info" : "warning", `${dir}: ${message}`);
      all.push(...left);
      if (forget) await PrivateRunDir.adopt(dir)[Symbol.asyncDispose]();
    }
  } catch (error) {
    log.log("warning", `what earlier launches left: ${messageOf(error)}`);
  }
  return all;
}

/** Removes the directory of the migration that the launch was for: its QEMU has ended. */
async function forgetMigration(base: string, { migration }: LaunchRecord): Promise<void> {
  for (const { dir, record } of await findJournals(base)) {
    if (record.side !== "destination" || record.migration !== migration) continue;
    using lock = await DirectoryLock.tryTake(dir);
    if (lock) await PrivateRunDir.adopt(dir)[Symbol.asyncDispose]();
  }
}

/**
 * Another process takes the QEMU of a launch that was cut off: from now on its guest may be here, and the
 * launch is not undone any more.
 *
 * @param qmp path of its QMP socket, without links.
 */
export async function adoptLaunches(base: string, qmp: string, log: Logger): Promise<void> {
  for await (const { dir, record } of cutOff(base, log)) {
    if (record.mayHaveGuest || await realPath(record.qmp) !== qmp) continue;
    using journal = await openLaunchJournal(dir);
    await journal.write({ ...record, mayHaveGuest: true });
  }
}

/**
 * The launches of other processes, under way, whose QEMU makes this QMP socket.
 *
 * @param own the run directory of the launch that asks.
 * @returns the names of their migrations.
 */
export async function rivalLaunches(
  { base, own, qmp, log }: { base: string; own: string; qmp: string; log: Logger },
): Promise<string[]> {
  const [found, socket]: [string[], string] = [[], await socketPath(qmp)];
  for (const record of await otherLaunches({ base, own, log })) {
    if (await socketPath(record.qmp) === socket) found.push(record.migration);
  }
  return found;
}

/**
 * The launches of other processes that are under way.
 *
 * @param own the run directory of the launch that asks.
 */
export async function otherLaunches(
  { base, own, log }: { base: string; own: string; log: Logger },
): Promise<LaunchRecord[]> {
  const found: LaunchRecord[] = [];
  for (const dir of await runFolders(base)) {
    const path = `${dir}/${LAUNCH_JOURNAL}`;
    if (dir === own || !await isFile(path)) continue;
    // The next run settles the launch of a dead process.
    using lock = await DirectoryLock.tryTake(dir);
    if (lock) continue;
    try {
      const record = parseLaunchRecord(lastValue(await Deno.readTextFile(path)));
      const isOver = !record || record.state === "committed" || record.state === "undone";
      if (!isOver) found.push(record);
    } catch (error) {
      log.log("warning", `${path}: ${messageOf(error)}`);
    }
  }
  return found;
}

/** The socket may not be there yet: only the links to its directory are followed. */
async function socketPath(path: string): Promise<string> {
  const at = path.lastIndexOf("/");
  return `${await realPath(path.slice(0, at) || "/")}/${path.slice(at + 1)}`;
}

interface FoundLaunch {
  readonly dir: string;
  readonly record: LaunchRecord;
}

/** The launches whose process is gone. No other process has the directory until the next is asked for. */
async function* cutOff(base: string, log: Logger): AsyncGenerator<FoundLaunch> {
  for (const dir of await runFolders(base)) {
    const path = `${dir}/${LAUNCH_JOURNAL}`;
    if (!await isFile(path)) continue;
    using lock = await DirectoryLock.tryTake(dir);
    if (!lock) continue;
    let record: LaunchRecord | undefined;
    try {
      record = parseLaunchRecord(lastValue(await Deno.readTextFile(path)));
    } catch (error) {
      log.log("warning", `${path}: ${messageOf(error)}`);
    }
    if (record) yield { dir, record };
  }
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.lstat(path).then((info) => info.isFile, () => false);
}
