/**
 * Undoes a launch, from its journal: in the process that wrote it, or in a later one. The guest must not
 * be in the QEMU that was started.
 *
 * @module
 */
import { command, lookAt, type PathFacts } from "../../host/mod.ts";
import { UndoList } from "../../migrate/mod.ts";
import type { LaunchHost } from "./host.ts";
import { endQemu } from "./qemu/qemu.ts";
import type { LaunchRecord, MadeRecord } from "./record.ts";

/** How long after a creation began a file may be born that it has made, ms. */
const CREATION_MS = 600_000;
/** File systems keep the time of birth in seconds. */
const BIRTH_MS = 2_000;
/** QEMU has 20 s to end. */
const END_MS = 60_000;

/** Another program may have put something into a directory that vmferry made; it stays then. */
const REMOVE_DIRECTORY = 'rmdir --ignore-fail-on-non-empty -- "$1"';
/** A file, or a socket that QEMU left. */
const REMOVE_FILE = 'rm -f -- "$1"';

/** What a removal has not removed, as text. */
export interface NotRemoved {
  /** Not removed, or perhaps another program's: a later run tries again. */
  readonly left: readonly string[];
  /** Other programs have put their own files in these places: there is nothing left to do. */
  readonly foreign: readonly string[];
}

/** Ends QEMU and removes everything that was made, the last first. */
export async function removeLaunch(host: LaunchHost, record: LaunchRecord): Promise<NotRemoved> {
  const foreign: string[] = [];
  const undo = new UndoList(host.clock, host.log);
  let qemuEnded = true;
  for (const made of record.made) {
    if (made.begunAt === null) continue;
    undo.add(made.path, async () => {
      // A QEMU that does not end may have them open.
      if (!qemuEnded) throw new Error("QEMU still runs");
      foreign.push(...await remove(host, made, record));
    });
  }
  if (record.state !== "preparing") {
    const { site } = record.qemu;
    // The command, and then QEMU.
    const ms = END_MS + 2 * (site?.timeoutMs ?? 0);
    undo.add("QEMU", async () => {
      qemuEnded = false;
      await endQemu(host, record);
      qemuEnded = true;
    }, { ms });
  }
  return { left: (await undo.run()).here, foreign };
}

/** Removes the file with the process of a QEMU that vmferry will not have to find again. */
export async function removePidFile(host: LaunchHost, record: LaunchRecord): Promise<void> {
  for (const made of record.made) if (made.kind === "pid") await remove(host, made, record);
}

/** @returns what is another program's for certain. */
async function remove(host: LaunchHost, made: MadeRecord, record: LaunchRecord): Promise<string[]> {
  const { kind, path, temporary } = made;
  const foreign: string[] = [];
  for (const at of temporary === null ? [path] : [temporary, path]) {
    const [look] = await lookAt(host.run, [at]);
    if (look!.state === "missing" && !look!.hidden) continue;
    if (!isOurs(made, at, look!, record)) {
      const why = "another program has made this file";
      // Without an identity to compare, the clock may be wrong.
      const isCertain = look!.identity !== null && (made.identity !== null || kind === "copy");
      if (!isCertain) throw new Error(why);
      foreign.push(`${at} (${why})`);
      continue;
    }
    const script = kind === "directory" ? REMOVE_DIRECTORY : REMOVE_FILE;
    await command(host.run, ["sh", "-c", script, "sh", at]);
  }
  return foreign;
}

/** Whether the launch has made what lies at the path. */
function isOurs(
  { kind, identity, begunAt, temporary }: MadeRecord,
  at: string,
  look: PathFacts,
  { state }: LaunchRecord,
): boolean {
  if (identity !== null) return look.identity === identity;
  // Its name is random.
  if (at === temporary) return true;
  // Its content had not arrived: it has not got its name.
  if (kind === "copy") return false;
  // vmferry was killed between the creation and its record, or QEMU has made it.
  if (begunAt === null) return false;
  const isByQemu = kind === "by-qemu" || kind === "log" || kind === "pid";
  // A file system that keeps no birth: its place was empty before QEMU was started.
  if (look.bornAt === null) return isByQemu && state !== "preparing";
  if (look.bornAt < begunAt - BIRTH_MS) return false;
  return isByQemu || look.bornAt <= begunAt + CREATION_MS;
}
