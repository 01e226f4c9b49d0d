import { type Logger, messageOf } from "../../io/mod.ts";
import type { MigrationError, Report } from "../../migrate/mod.ts";
import { type Params, RpcError } from "../../rpc/mod.ts";
import type { Sessions } from "./sessions.ts";

/** Longest text of a reason, characters. */
const MAX_REASON = 4096;

/** What the destination has created for a migration, and its end. */
export class PreparedDestination {
  readonly #sessions: Sessions;
  readonly #report: Report;
  readonly #log: Logger;
  /** Names the migration, as long as the destination does not know its end. */
  #migration: string | undefined;
  #asked = false;

  constructor(
    sessions: Sessions,
    { report, log }: { readonly report: Report; readonly log: Logger },
  ) {
    this.#sessions = sessions;
    this.#report = report;
    this.#log = log;
  }

  /**
   * Has the destination prepare. What it has created when this throws is undone, or will be.
   *
   * @throws as `DomainPeer.prepareDomain`.
   */
  async prepare(params: Params<"prepareDomain">, signal: AbortSignal): Promise<void> {
    this.#migration = params.migration;
    this.#asked = true;
    try {
      await this.#sessions.peer!.prepareDomain(params, signal);
    } catch (error) {
      // A destination that refuses has undone everything.
      if (error instanceof RpcError) this.#migration = undefined;
      else await this.settle("failed");
      throw error;
    }
  }

  /** Reports to a destination that was not asked to prepare why it will not be. Never rejects. */
  async giveUp({ kind, code, side, message }: MigrationError): Promise<void> {
    const { peer } = this.#sessions;
    if (this.#asked || peer?.session.first.state !== "up") return;
    const cancelled = kind === "cancelled";
    await peer.abort({ reason: message.slice(0, MAX_REASON), cancelled, code, side })
      .catch((error) => this.#log.log("debug", `abort: ${messageOf(error)}`));
  }

  /** Reports the end to the destination; without a session it settles by itself. Never rejects. */
  async settle(outcome: "migrated" | "failed"): Promise<void> {
    const { peer } = this.#sessions;
    const migration = this.#migration;
    if (migration === undefined || peer?.session.first.state !== "up") return;
    this.#migration = undefined;
    try {
      const left = await peer.settleDomain({ migration, outcome });
      if (left.length === 0) return;
      const message = `Not removed at the destination: ${left.join("; ")}`;
      this.#report({ event: "warning", code: "not-undone", message });
    } catch (error) {
      // Another session may take it.
      if (!(error instanceof RpcError)) this.#migration = migration;
      this.#log.log("warning", `the destination settles by itself: ${messageOf(error)}`);
    }
  }
}
