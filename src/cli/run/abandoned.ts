import type { Logger } from "../../io/mod.ts";
import { DirectoryLock } from "./dir_lock.ts";
import {
  DOMAIN_DESTINATION_JOURNAL,
  DOMAIN_SOURCE_JOURNAL,
  JOURNAL,
  LAUNCH_JOURNAL,
} from "./journal_file.ts";
import { runFolders } from "./base.ts";
import { COMPARE, PrivateRunDir, QEMU } from "./run_dir.ts";
import { KEPT_TICKET } from "../endpoint/ticket_use.ts";

const JOURNALS = [JOURNAL, DOMAIN_SOURCE_JOURNAL, DOMAIN_DESTINATION_JOURNAL, LAUNCH_JOURNAL];

/** A run's directory as it is called now, and as it was once. */
const NAME = /\/run-([0-9a-f]{8}){1,2}$/;

/**
 * Removes the directories of runs that were killed before they wrote anything down: nobody has to look after
 * those.
 *
 * A run that is just beginning keeps its directory: it holds it from its first step on, and who gets hold of a
 * directory here knows that no process has it. One that has made its directory and not got hold of it yet finds
 * it gone when it does, and makes another.
 */
export async function removeAbandoned(base: string, log: Logger): Promise<void> {
  for (const path of await runFolders(base)) {
    using hold = NAME.test(path) ? await DirectoryLock.tryTake(path) : undefined;
    // What can't be looked into is not ours to remove.
    if (!hold || !await isBare(path).catch(() => false)) continue;
    await PrivateRunDir.adopt(path)[Symbol.asyncDispose]();
    log.log("info", `${path} was left by a process that had begun nothing: removed`);
  }
}

/** Whether there is nothing in it but what a run has before it begins anything. */
async function isBare(path: string): Promise<boolean> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(path)) {
    const entry = `${path}/${name}`;
    const isKnown = JOURNALS.includes(name)
      // Nothing is begun before its first record is whole.
      ? isFile && !(await Deno.readTextFile(entry)).includes("\n")
      : (name === QEMU || name === COMPARE) && isDirectory
      ? await hasOnlySockets(entry)
      : (name === KEPT_TICKET && isFile) || await isDeaf(entry);
    if (!isKnown) return false;
  }
  return true;
}

async function hasOnlySockets(path: string): Promise<boolean> {
  for await (const { name } of Deno.readDir(path)) {
    if (!(await Deno.lstat(`${path}/${name}`)).isSocket) return false;
  }
  return true;
}

/** A socket that nobody listens on. A version that held no directory does on its control socket. */
async function isDeaf(path: string): Promise<boolean> {
  if (!(await Deno.lstat(path)).isSocket) return false;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}
