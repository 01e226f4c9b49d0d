/**
 * What processes that were killed have left on this host.
 *
 * @module
 */
import { lookAt } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import type { DomainRecord } from "./record.ts";
import { removeSockets } from "./remove.ts";
import { settle, type Word } from "./settle.ts";

/** How long libvirt may take for a domain whose client is gone since longer, ms. */
const WAIT_MS = 5_000;

/** How it ended. */
export interface EarlierEnd {
  /** Nothing is left that the journal is needed for. */
  readonly forget: boolean;
  /** The record to keep instead; `undefined`: as it is. */
  readonly record?: DomainRecord;
  /** What was done, for the log. */
  readonly message: string;
  readonly left: readonly string[];
}

/**
 * Settles the migration of a process that has ended, by its journal. Never rejects.
 *
 * @param host with a virsh for the record's URI.
 */
export async function settleEarlier(
  host: DestinationHost,
  record: DomainRecord,
  word: Word,
): Promise<EarlierEnd> {
  const what = `the migration of domain ${record.name} that was cut off`;
  if (record.state === "migrated" || record.state === "failed") {
    const left = await removeSockets(host, record);
    // Its source may still have the guest, paused, and ask for it: see `hasRun`.
    const isTold = record.state === "failed" || word === "source";
    return { forget: isTold && left.length === 0, message: `${what} had ended`, left };
  }
  const { verdict, left } = await settle(host, record, word, WAIT_MS);
  const images = record.images.filter(({ begunAt }) => begunAt !== null).map(({ path }) => path);
  switch (verdict) {
    case "removed":
      return { forget: left.length === 0, message: `${what} is undone`, left };
    case "here": {
      const message = `${what} has succeeded: it is here`;
      if (word === "source") return { forget: left.length === 0, message, left };
      // Its source may have the guest too, paused, and ask for it when it has ended here: see `hasRun`.
      const arrived = { ...record, state: "migrated", mayHaveRun: true } as const;
      return { forget: false, record: arrived, message, left };
    }
    case "split":
      return { forget: false, message: `${what} stays: the source has a part of its RAM`, left };
    case "may-have-run": {
      const why =
        `${what}: it is not active here and may have run here. These images stay, remove ` +
        `them when the guest runs elsewhere: ${images.join(", ")}`;
      // Its source may still come and say that it has the guest.
      const looks = await lookAt(host.run, images).catch(() => undefined);
      const areGone = looks?.every(({ state, hidden }) => state === "missing" && !hidden) ?? false;
      return { forget: areGone, message: why, left };
    }
    case "unclear":
      return { forget: false, message: `${what} stays for now: ${left.join("; ")}`, left };
  }
}
