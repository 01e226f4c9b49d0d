/**
 * The journals of `receive --libvirt` in the run directories: each line is a whole `DomainRecord`
 * (src/domain/destination/record.ts).
 *
 * @module
 */
import { type DomainRecord, parseDomainRecord } from "../../domain/mod.ts";
import type { Logger } from "../../io/mod.ts";
import { messageOf } from "../../io/mod.ts";
import { runFolders } from "./base.ts";
import { DOMAIN_DESTINATION_JOURNAL } from "./journal_file.ts";
import { lastValue } from "./journal_lines.ts";
import { DirectoryLock } from "./dir_lock.ts";

/** A journal that is there. */
export interface FoundDomain {
  readonly dir: string;
  readonly record: DomainRecord;
}

/** The journals of all `receive --libvirt` under `base`, running or not. */
export async function findDomains(base: string, log: Logger): Promise<FoundDomain[]> {
  const found: FoundDomain[] = [];
  for (const dir of await runFolders(base)) {
    try {
      const record = await lastRecord(`${dir}/${DOMAIN_DESTINATION_JOURNAL}`);
      if (record) found.push({ dir, record });
    } catch (error) {
      log.log("warning", `${dir}/${DOMAIN_DESTINATION_JOURNAL}: ${messageOf(error)}`);
    }
  }
  return found;
}

/** Locks the directory of a process that has ended; `undefined` while it runs. */
export async function lockOf({ dir }: FoundDomain): Promise<DirectoryLock | undefined> {
  return await DirectoryLock.tryTake(dir);
}

async function lastRecord(path: string): Promise<DomainRecord | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const value = lastValue(text);
  return value === undefined ? undefined : parseDomainRecord(value);
}
