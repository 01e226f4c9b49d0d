/**
 * The migrations of other `receive --libvirt` of this host and user.
 *
 * @module
 */
import {
  type DestinationHost,
  type DomainRecord,
  hasRun,
  type OtherMigrations,
  settleEarlier,
} from "../../domain/mod.ts";
import { delay, messageOf, systemClock } from "../../io/mod.ts";
import { Virsh } from "../../libvirt/mod.ts";
import { ask } from "../control/client.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { findDomains, type FoundDomain, lockOf } from "./domain_destination_journal.ts";
import { DOMAIN_DESTINATION_JOURNAL, JournalFile } from "./journal_file.ts";
import { PrivateRunDir } from "./run_dir.ts";

/** How long another process may take to give its migration up, ms. */
const CANCEL_MS = 20_000;
/** How long it may take to end after that, ms. */
const END_MS = 30_000;
const AGAIN_MS = 250;

/** Finds and settles them. */
export class EarlierDomains implements OtherMigrations {
  readonly #base: string;
  readonly #host: DestinationHost;

  /** @param base the directory that each run has its own in. */
  constructor(base: string, host: DestinationHost) {
    this.#base = base;
    this.#host = host;
  }

  /** Settles those whose process was killed. Never rejects. */
  async settleDead(): Promise<void> {
    const { log } = this.#host;
    try {
      for (const found of await findDomains(this.#base, log)) {
        await this.#settleOne(found, "nobody");
      }
    } catch (error) {
      log.log("warning", `what earlier processes left: ${messageOf(error)}`);
    }
  }

  /** {@inheritDoc OtherMigrations.fence} */
  async fence(uuid: string): Promise<void> {
    const { log } = this.#host;
    const all = await findDomains(this.#base, log);
    await Promise.all(
      all.filter(({ record }) => record.uuid === uuid).map(async ({ dir }) => {
        try {
          await ask(`${dir}/${CONTROL_SOCKET}`, { command: "cancel" }, CANCEL_MS);
        } catch (error) {
          // It has ended, or it is too late: then libvirt's answer holds.
          log.log("debug", `${dir}: ${messageOf(error)}`);
        }
      }),
    );
  }

  /** {@inheritDoc OtherMigrations.hasRun} */
  async hasRun(uuid: string): Promise<boolean> {
    for (const { record } of await findDomains(this.#base, this.#host.log)) {
      if (record.uuid === uuid && await hasRun(this.#host, record)) return true;
    }
    return false;
  }

  /** {@inheritDoc OtherMigrations.forgetArrived} */
  async forgetArrived(uuid: string): Promise<void> {
    for (const found of await findDomains(this.#base, this.#host.log)) {
      const { record } = found;
      if (record.uuid === uuid && record.state === "migrated") {
        await this.#settleOne(found, "source");
      }
    }
  }

  /** {@inheritDoc OtherMigrations.settle} */
  async settle(
    { migration, outcome }: { readonly migration: string; readonly outcome: "migrated" | "failed" },
  ): Promise<readonly string[]> {
    const until = systemClock.now() + END_MS;
    while (true) {
      const all = await findDomains(this.#base, this.#host.log);
      const found = all.find(({ record }) => record.migration === migration);
      // Its process has settled it by itself.
      if (!found) return [];
      const record = outcome === "migrated"
        ? { ...found.record, state: "migrated" as const }
        : found.record;
      const left = await this.#settleOne({ ...found, record }, "source");
      if (left) return left;
      if (systemClock.now() >= until) return [`${found.dir}: its process still runs`];
      await delay(systemClock, AGAIN_MS);
    }
  }

  /** Its process is gone: only the record stays. */
  async #keep(dir: string, record: DomainRecord): Promise<void> {
    using journal = await JournalFile.open<DomainRecord>(dir, DOMAIN_DESTINATION_JOURNAL);
    await journal.write(record);
    await Deno.remove(`${dir}/${CONTROL_SOCKET}`).catch(() => {});
  }

  /** @returns what is left; `undefined` while its process runs. */
  async #settleOne(
    found: FoundDomain,
    word: "source" | "nobody",
  ): Promise<readonly string[] | undefined> {
    using lock = await lockOf(found);
    if (!lock) return undefined;
    const { log, run } = this.#host;
    const { dir, record } = found;
    const host = { ...this.#host, virsh: new Virsh({ run, uri: record.uri }) };
    const { forget, message, left, record: kept } = await settleEarlier(host, record, word);
    const rest = left.length > 0 ? `; left: ${left.join("; ")}` : "";
    // One that waits for its source's question is no news.
    const isNews = !forget && (kept ?? record).state !== "migrated";
    log.log(isNews ? "warning" : "info", `${dir}: ${message}${rest}`);
    if (forget) await PrivateRunDir.adopt(dir)[Symbol.asyncDispose]();
    else if (kept) await this.#keep(dir, kept);
    return left;
  }
}
