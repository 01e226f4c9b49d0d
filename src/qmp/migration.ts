import { type Clock, messageOf, systemClock } from "../io/mod.ts";
import type { QmpClient } from "./client.ts";
import { QmpError, QmpTimeoutError } from "./errors.ts";

/** What `query-migrate` tells. Sizes in bytes, times in ms. */
export interface MigrationInfo {
  /** `none`, `active`, `completed` …; an unknown one means that it goes on. */
  readonly status: string;
  readonly ram:
    | {
      readonly transferred: number;
      readonly remaining: number;
      readonly total: number;
      /** Bytes of memory that the guest changes each second. */
      readonly dirtyRateBytes: number;
      /** How many times memory was gone through. */
      readonly iteration: number;
    }
    | undefined;
  readonly downtimeMs: number | undefined;
  readonly expectedDowntimeMs: number | undefined;
  readonly totalTimeMs: number | undefined;
  readonly errorDesc: string | undefined;
  /** Why QEMU would refuse to migrate, in its words. */
  readonly blockedReasons: readonly string[];
}

/** Asks QEMU how the migration is. */
export async function queryMigrate(client: QmpClient): Promise<MigrationInfo> {
  const info = await client.execute("query-migrate", {});
  return {
    status: info.status ?? "none",
    ram: info.ram && {
      transferred: info.ram.transferred,
      remaining: info.ram.remaining,
      total: info.ram.total,
      dirtyRateBytes: (info.ram["dirty-pages-rate"] ?? 0) * (info.ram["page-size"] ?? 4096),
      iteration: info.ram["dirty-sync-count"],
    },
    downtimeMs: info.downtime,
    expectedDowntimeMs: info["expected-downtime"],
    totalTimeMs: info["total-time"],
    errorDesc: info["error-desc"],
    blockedReasons: info["blocked-reasons"] ?? [],
  };
}

export interface WaitMigrationOptions {
  /** How long nothing may change, ms. Bytes that move count as a change. */
  readonly stallMs: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** How often to ask when no event says that something changed, ms. */
  readonly pollMs?: number;
}

/** A migration's status, and QEMU's words on why it failed where it did and says so. */
export type MigrationEnd = Pick<MigrationInfo, "status" | "errorDesc">;

/**
 * Waits for a status for which `until` holds. A MIGRATION event is taken at its word, unless it says
 * `failed`: why is only told by `query-migrate`, which is asked from time to time in any case.
 *
 * @throws {QmpError} code `timeout` when nothing changed for `stallMs`; the signal's reason.
 */
export async function waitMigration(
  client: QmpClient,
  until: (status: string) => boolean,
  options: WaitMigrationOptions,
): Promise<MigrationEnd> {
  const said = Promise.withResolvers<MigrationEnd>();
  let wake = () => {};
  let over = false;
  const stopEvents = client.onEvent(({ event, data }) => {
    if (event !== "MIGRATION") return;
    const { status } = data as { status: string };
    if (status !== "failed" && until(status)) said.resolve({ status, errorDesc: undefined });
    else wake();
  });
  const onAbort = () => said.reject(options.signal?.reason);
  options.signal?.addEventListener("abort", onAbort);
  if (options.signal?.aborted) onAbort();
  const ask = async (): Promise<MigrationEnd> => {
    const clock = options.clock ?? systemClock;
    let before = "";
    let changed = clock.now();
    while (!over) {
      let hinted = false;
      wake = () => hinted = true;
      const info = await queryMigrate(client).catch((error) => {
        // A busy QEMU: ask again, until the deadline below.
        if (error instanceof QmpTimeoutError) return undefined;
        throw error;
      });
      if (info && until(info.status)) return info;
      const now = clock.now();
      const state = info ? `${info.status} ${info.ram?.transferred}` : before;
      if (state !== before) [before, changed] = [state, now];
      if (now - changed > options.stallMs) {
        throw new QmpError(
          "timeout",
          `QEMU's migration made no progress for ${options.stallMs / 1000} s (status "${
            info?.status ?? "unknown"
          }")`,
        );
      }
      if (hinted || over) continue;
      await new Promise<void>((resolve) => {
        const cancel = clock.after(options.pollMs ?? 250, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
    return await said.promise;
  };
  try {
    return await Promise.race([said.promise, ask()]);
  } finally {
    over = true;
    wake();
    stopEvents();
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/** Capabilities and parameters to set; those that this QEMU does not have are left out. */
export interface WantedSettings {
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly parameters?: Readonly<Record<string, number>>;
}

/**
 * Sets QEMU's migration capabilities and parameters, and puts them back as they were. Calls are
 * carried out one after the other; once they are put back, nothing is set any more.
 */
export class MigrationSettings {
  readonly #client: QmpClient;
  #turn: Promise<void> = Promise.resolve();
  #over = false;
  #capabilities: { capability: string; state: boolean }[] = [];
  #parameters: Record<string, unknown> = {};

  constructor(client: QmpClient) {
    this.#client = client;
  }

  /** Sets what is wanted and not so already, and remembers what was. */
  async apply(wanted: WantedSettings): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#over) await this.#apply(wanted);
    });
  }

  /**
   * Puts back what {@link apply} changed.
   *
   * @throws {Error} saying what QEMU would not take; the rest is put back all the same.
   */
  async restore(): Promise<void> {
    await this.#inTurn(() => this.#restore());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #apply(wanted: WantedSettings): Promise<void> {
    const now = await this.#client.execute("query-migrate-capabilities", {});
    const changed = now.filter(({ capability, state }) => {
      const want = wanted.capabilities?.[capability];
      return want !== undefined && want !== state;
    });
    if (changed.length > 0) {
      this.#capabilities.push(...changed);
      await this.#client.execute("migrate-set-capabilities", {
        capabilities: changed.map(({ capability, state }) => ({ capability, state: !state })),
      });
    }
    const parameters = await this.#client.execute("query-migrate-parameters", {});
    const set: Record<string, number> = {};
    for (const [name, value] of Object.entries(wanted.parameters ?? {})) {
      if (!(name in parameters) || parameters[name] === value) continue;
      if (!(name in this.#parameters)) this.#parameters[name] = parameters[name];
      set[name] = value;
    }
    if (Object.keys(set).length > 0) await this.#client.execute("migrate-set-parameters", set);
  }

  async #restore(): Promise<void> {
    this.#over = true;
    const failed: string[] = [];
    if (Object.keys(this.#parameters).length > 0) {
      await this.#client.execute("migrate-set-parameters", this.#parameters)
        .catch((error) => failed.push(messageOf(error)));
    }
    if (this.#capabilities.length > 0) {
      await this.#client.execute("migrate-set-capabilities", { capabilities: this.#capabilities })
        .catch((error) => failed.push(messageOf(error)));
    }
    this.#parameters = {};
    this.#capabilities = [];
    if (failed.length > 0) throw new Error(failed.join("; "));
  }
}
