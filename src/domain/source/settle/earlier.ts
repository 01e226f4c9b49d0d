import { delay, messageOf } from "../../../io/mod.ts";
import { findDomain, type Virsh } from "../../../libvirt/mod.ts";
import type { DomainMigrationOptions } from "../options.ts";
import type { DomainSourceRecord } from "../record.ts";
import type { Sessions } from "../sessions.ts";
import { settle, type Settled, sourceFacts } from "./settle.ts";
import { AGAIN_MS, QUERY_MS } from "../waits.ts";

/** How long the destination may take to end what it received of the earlier migration, ms. */
const LEAVE_MS = 60_000;

/** What an earlier run has left of a domain. */
export interface Earlier {
  readonly uuid: string;
  /** The records of the runs; none where they are lost. */
  readonly records: readonly DomainSourceRecord[];
  readonly settled: Settled;
}

/**
 * Settles a migration of the domain that another process has begun and not ended. One whose record is lost
 * is seen by libvirt's state alone.
 *
 * @param virsh `known` may answer from what it was asked a moment ago.
 * @returns `undefined` where there is none.
 * @throws {VirshError} when libvirt does not answer.
 */
export async function settleEarlier(
  options: DomainMigrationOptions,
  { source, known }: { readonly source: Virsh; readonly known: Virsh },
  sessions: Sessions,
): Promise<Earlier | undefined> {
  const { name, earlier, clock, log, uri } = options;
  const listed = await findDomain(known, name, { timeoutMs: QUERY_MS });
  const records = earlier.filter((one) =>
    one.uri === uri && one.state === "migrating" &&
    (listed ? one.uuid === listed.uuid : [one.name, one.uuid].includes(name))
  );
  const record = records.at(-1);
  const uuid = listed?.uuid ?? record?.uuid;
  if (uuid === undefined) return undefined;
  const wasPaused = record?.wasPaused ?? false;
  const { state, reason, job } = await sourceFacts({ source: known, uuid, wasPaused });
  // Without a record, a job is another program's migration.
  const isCutOff = state === "paused" && !job &&
    (reason === "migrating" || reason.startsWith("post-copy"));
  if (!record && !isCutOff) return undefined;
  log.log("info", `settling an earlier migration of domain ${name}: it is ${state} (${reason})`);
  const settled = await settle({
    ...{ source, uuid, wasPaused, clock, log },
    undefineSource: record?.undefineSource ?? false,
    ask: () => sessions.ask(uuid),
    isTheOne: () => record !== undefined && sessions.hostUuid === record.hostUuid,
  });
  // A destination that was not told of the end may still wait for the rest.
  if (settled.outcome === "stays") await leave(uuid, options, sessions);
  if (settled.outcome === "stays" || settled.outcome === "migrated") {
    const outcome = settled.outcome === "stays" ? "failed" : "migrated";
    for (const { migration } of records) await sessions.settle(migration, outcome);
  }
  return { uuid, records, settled };
}

/** Waits until the destination receives nothing of the domain any more. Never rejects. */
async function leave(
  uuid: string,
  { clock, log }: DomainMigrationOptions,
  sessions: Sessions,
): Promise<void> {
  const until = clock.now() + LEAVE_MS;
  try {
    while ((await sessions.ask(uuid)).incoming && clock.now() < until) {
      await delay(clock, AGAIN_MS);
    }
  } catch (error) {
    log.log("info", `the destination: ${messageOf(error)}`);
  }
}
