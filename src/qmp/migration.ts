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

/**
 * Waits until `until` holds for what `query-migrate` tells. MIGRATION events say when to ask.
 *
 * @throws {QmpError} code `timeout` when nothing changed for `stallMs`; the signal's reason.
 */
export async function waitMigration(
  client: QmpClient,
  until: (info: MigrationInfo) => boolean,
  options: WaitMigrationOptions,
): Promise<MigrationInfo> {
  const clock = options.clock ?? systemClock;
  let wake = () => {};
  let hinted = false;
  const hint = () => {
    hinted = true;
    wake();
  };
  const stopEvents = client.onEvent(({ event }) => {
    if (event === "MIGRATION" || event === "STOP" || event === "RESUME") hint();
  });
  options.signal?.addEventListener("abort", hint);
  let before = "";
  let changed = clock.now();
  try {
    while (true) {
      hinted = false;
      options.signal?.throwIfAborted();
      const info = await queryMigrate(client).catch((error) => {
        // A busy QEMU: ask again, until the deadline below.
        if (error instanceof QmpTimeoutError) return undefined;
        throw error;
      });
      if (info && until(info)) return info;
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
      if (hinted) continue;
      await new Promise<void>((resolve) => {
        const cancel = clock.after(options.pollMs ?? 250, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
  } finally {
    stopEvents();
    options.signal?.removeEventListener("abort", hint);
  }
}

/** Capabilities and parameters to set; those that this QEMU does not have are left out. */
export interface WantedSettings {
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly parameters?: Readonly<Record<string, number>>;
}

/** Sets QEMU's migration capabilities and parameters, and puts them back as they were. */
export class MigrationSettings {
  readonly #client: QmpClient;
  #capabilities: { capability: string; state: boolean }[] = [];
  #parameters: Record<string, unknown> = {};

  constructor(client: QmpClient) {
    this.#client = client;
  }

  /** Sets what is wanted and not so already, and remembers what was. */
  async apply(wanted: WantedSettings): Promise<void> {
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

  /**
   * Puts back what {@link apply} changed.
   *
   * @throws {Error} saying what QEMU would not take; the rest is put back all the same.
   */
  async restore(): Promise<void> {
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
