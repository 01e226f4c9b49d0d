import { type Clock, systemClock } from "../io/mod.ts";
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
  /** It waits for an incoming migration on a socket of its own. */
  readonly listens: boolean;
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
    listens: info["socket-address"] !== undefined,
    blockedReasons: info["blocked-reasons"] ?? [],
  };
}

export interface WaitMigrationOptions {
  /** How long nothing may change, ms. Bytes that move count as a change. */
  readonly stallMs: number;
  /** A number; when it changes, that counts as a change too. */
  readonly progress?: () => number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** How often to ask when no event says that something changed, ms. Default 250. */
  readonly pollMs?: number;
  /**
   * Whoever waits does so from before it began, and it has begun once this is settled: no event is
   * missed, nobody need ask at once, and what QEMU says before is of an earlier migration, or of none.
   */
  readonly begun?: Promise<unknown>;
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
    if (!until(status)) return;
    if (status === "failed") wake();
    else said.resolve({ status, errorDesc: undefined });
  });
  const onAbort = () => said.reject(options.signal?.reason);
  options.signal?.addEventListener("abort", onAbort);
  if (options.signal?.aborted) onAbort();
  const ask = async (): Promise<MigrationEnd> => {
    const clock = options.clock ?? systemClock;
    const pause = () =>
      new Promise<void>((resolve) => {
        const cancel = clock.after(options.pollMs ?? 250, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    if (options.begun) {
      let hinted = false;
      wake = () => hinted = true;
      await options.begun.catch(() => {});
      if (!hinted) await pause();
    }
    let lastSaid = "";
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
      // A QEMU that is busy sending does not answer: what it sends still counts.
      if (info) lastSaid = `${info.status} ${info.ram?.transferred}`;
      const state = `${lastSaid} ${options.progress?.() ?? 0}`;
      if (state !== before) [before, changed] = [state, now];
      if (now - changed > options.stallMs) {
        throw new QmpError(
          "timeout",
          `QEMU's migration made no progress for ${options.stallMs / 1000} s (status "${
            info?.status ?? "unknown"
          }")`,
        );
      }
      if (!hinted && !over) await pause();
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
