import { type Clock, systemClock } from "../io/mod.ts";
import type { QmpClient } from "./client.ts";
import { QmpError, QmpTimeoutError } from "./errors.ts";

/** The answer of `query-migrate`. Sizes in bytes, times in ms. */
export interface MigrationInfo {
  /** `none`, `active`, `completed`, ...; treat an unknown one as `active`. */
  readonly status: string;
  /** Progress over RAM; `undefined` before it begins. */
  readonly ram:
    | {
      readonly transferred: number;
      readonly remaining: number;
      readonly total: number;
      /** Bytes of RAM that the guest changes each second. */
      readonly dirtyRateBytes: number;
      /** Passes over RAM so far. */
      readonly iteration: number;
      /** Size of a page of the guest's. */
      readonly pageBytes: number;
    }
    | undefined;
  /** QEMU's throttle of the guest (auto-converge), percent of its CPU time; `undefined` without one. */
  readonly throttlePercent: number | undefined;
  /** Pages of which only the changes were sent; `undefined` without QEMU's `xbzrle`. */
  readonly xbzrle:
    | {
      readonly pages: number;
      /** Sent for them, bytes. */
      readonly bytes: number;
      /** Pages that were not in QEMU's cache. */
      readonly cacheMisses: number;
      /** Pages that had changed too much. */
      readonly overflow: number;
    }
    | undefined;
  /** Measured by QEMU, once the migration is complete. */
  readonly downtimeMs: number | undefined;
  /** QEMU's estimate. */
  readonly expectedDowntimeMs: number | undefined;
  /** Since the migration began. */
  readonly totalTimeMs: number | undefined;
  /** QEMU's reason for a failure. */
  readonly errorDesc: string | undefined;
  /** QEMU waits for an incoming migration on a socket of its own. */
  readonly listens: boolean;
  /** QEMU's reasons to refuse a migration. */
  readonly blockedReasons: readonly string[];
}

/**
 * Asks QEMU for the state of its migration (`query-migrate`).
 *
 * @throws as `QmpClient.execute`.
 */
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
      pageBytes: info.ram["page-size"] ?? 4096,
    },
    throttlePercent: info["cpu-throttle-percentage"],
    xbzrle: info["xbzrle-cache"] && {
      pages: info["xbzrle-cache"].pages,
      bytes: info["xbzrle-cache"].bytes,
      cacheMisses: info["xbzrle-cache"]["cache-miss"],
      overflow: info["xbzrle-cache"].overflow,
    },
    downtimeMs: info.downtime,
    expectedDowntimeMs: info["expected-downtime"],
    totalTimeMs: info["total-time"],
    errorDesc: info["error-desc"],
    listens: info["socket-address"] !== undefined,
    blockedReasons: info["blocked-reasons"] ?? [],
  };
}

/** Statuses of a migration that is over. With any other one, known or not, it still runs. */
export const MIGRATION_OVER: readonly string[] = ["none", "completed", "failed", "cancelled"];

/** How to wait for a migration. */
export interface WaitMigrationOptions {
  /** Longest time without any change, ms. Bytes sent count as a change. */
  readonly stallMs: number;
  /** Another number whose change counts. */
  readonly progress?: () => number;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
  /** Default: the machine's own. */
  readonly clock?: Clock;
  /** Interval of `query-migrate` while no event comes, ms. Default 250. */
  readonly pollMs?: number;
  /**
   * Settles when the migration has begun, for a caller that waits from before that: no event is
   * missed, so the first query can wait, and earlier answers are those of an earlier migration.
   */
  readonly begun?: Promise<unknown>;
}

/** A migration's status, and QEMU's reason if it failed and gave one. */
export type MigrationEnd = Pick<MigrationInfo, "status" | "errorDesc">;

/**
 * Waits for a status for which `until` is true. A MIGRATION event (since QEMU 2.4, with the capability
 * `events`) is enough, except for `failed`: only `query-migrate` has the reason. That is also polled,
 * because events may be switched off.
 *
 * @throws {QmpError} code `timeout` when nothing changed for `stallMs`.
 * @throws the signal's reason when it is aborted.
 * @throws as `QmpClient.execute`, except for a timeout of one query.
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
        // QEMU is busy: ask again, until the deadline below.
        if (error instanceof QmpTimeoutError) return undefined;
        throw error;
      });
      if (info && until(info.status)) return info;
      const now = clock.now();
      // QEMU may be too busy sending to answer; the bytes that it sends count as progress.
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
