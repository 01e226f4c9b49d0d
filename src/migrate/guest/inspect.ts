/**
 * What an end's QEMU says of itself, and what of it stands in the way of a migration.
 *
 * @module
 */
import {
  describeMachine,
  listDisks,
  type QmpClient,
  queryBlockJobs,
  queryMigrate,
} from "../../qmp/mod.ts";
import type { GuestDescription, Params } from "../../rpc/mod.ts";
import { migrationBlockers } from "./blockers.ts";
import { ASLEEP } from "./watch.ts";
import { carriesAsleep, runs, versionOf } from "./run_states.ts";
import { compareGuests, type DiskChoice, type DiskPair, matchDisks } from "../disks/plan.ts";

/** A guest and its QEMU's run state, such as `running`, `paused` or `inmigrate`. */
export interface Guest {
  readonly description: GuestDescription;
  readonly status: string;
}

const NO_UUID = "00000000-0000-0000-0000-000000000000";

/** Asks QEMU who it is. */
export async function inspectGuest(qmp: QmpClient): Promise<Guest> {
  const machine = await describeMachine(qmp);
  return {
    status: machine.status,
    description: {
      uuid: machine.uuid && machine.uuid !== NO_UUID ? machine.uuid : null,
      name: machine.name ?? null,
      machine: machine.machine,
      vcpus: machine.vcpus,
      ramBytes: machine.ramBytes,
    },
  };
}

/** Run states from which a guest can be migrated, beside those in which it runs; it arrives paused. */
const MOVABLE = ["paused", "prelaunch"];

/** Of a guest that stood when a migration of it was given up: QEMU 7.2 does not take that back. */
export const STUCK =
  "QEMU wants it continued once before it is migrated again ('cont', then 'stop')";
/** Of a job of ours. */
const OURS = "it is of a migration that runs ('vmferry status') or was cut off ('vmferry recover')";

/** Problems of the source, in words; an empty list when it can start. */
export async function sourceProblems(qmp: QmpClient, guest: Guest): Promise<string[]> {
  const problems: string[] = [];
  if (guest.status === "suspended" && !carriesAsleep(versionOf(qmp))) problems.push(ASLEEP);
  const migration = await queryMigrate(qmp);
  if (!MOVABLE.includes(guest.status) && !runs(guest.status)) {
    const undone = guest.status === "postmigrate" && migration.status !== "completed";
    const why = undone ? `: ${STUCK}` : ", expected running or paused";
    problems.push(`the guest is in state "${guest.status}"${why}`);
  }
  for (const reason of await migrationBlockers(qmp)) {
    problems.push(`QEMU says: ${reason}${isNvme(reason) ? `: ${NVME}` : ""}`);
  }
  // QEMU 11.1 names no blocker and does not survive the attempt, and the guest with it.
  for (const { name } of (await listDisks(qmp)).filter(({ namespace }) => namespace)) {
    problems.push(
      `disk ${name} is an NVMe namespace of its own (nvme-ns), with which QEMU can't migrate: ` +
        "give the drive to the nvme device itself, or attach it by virtio-blk or virtio-scsi",
    );
  }
  if (["setup", "active", "pre-switchover", "device", "cancelling"].includes(migration.status)) {
    problems.push(`a migration is under way already (status "${migration.status}")`);
  }
  for (const job of await queryBlockJobs(qmp)) {
    const whose = job.device.startsWith("vmferry-") ? `: ${OURS}` : "";
    problems.push(`the block job "${job.device}" (${job.type}) is running${whose}`);
  }
  return problems;
}

const NVME = "emulated NVMe crosses from QEMU 11.1 to QEMU 11.1 or later; " +
  "virtio-blk and virtio-scsi cross between all versions";

/** QEMU's name of a device that it can't migrate ends with the name of its state. */
function isNvme(blocker: string): boolean {
  return /\/nvme$/.test(blocker);
}

/** Problems of the destination, in words; an empty list when it can receive. */
export async function destinationProblems(qmp: QmpClient, guest: Guest): Promise<string[]> {
  const problems: string[] = [];
  if (guest.status !== "inmigrate") {
    problems.push(
      `QEMU is in state "${guest.status}", expected "inmigrate": start it with -incoming defer`,
    );
    return problems;
  }
  const { status, listens, blockedReasons } = await queryMigrate(qmp);
  // A device that this version can't save, it can't load either.
  for (const reason of blockedReasons.filter(isNvme)) {
    problems.push(`QEMU says: ${reason}: ${NVME}`);
  }
  if (listens && ["none", "setup"].includes(status)) {
    problems.push("QEMU waits for a guest on a socket of its own: start it with -incoming defer");
  } else if (status !== "none") {
    problems.push(`QEMU was given an incoming migration already (status "${status}")`);
  }
  return problems;
}

/** What a destination finds when a guest is announced to it. */
export interface Look {
  /** How its own QEMU calls the guest. */
  readonly guest: string;
  /** The announced disks and where each would go. */
  readonly pairs: readonly DiskPair[];
  /** What stands in the way, in words. */
  readonly problems: readonly string[];
}

/** Holds the destination's QEMU against the guest and the disks that a source has announced. */
export async function lookAt(
  qmp: QmpClient,
  announced: Params<"prepare">,
  choices: readonly DiskChoice[],
): Promise<Look> {
  const guest = await inspectGuest(qmp);
  const { disks, shared } = announced;
  const { pairs, problems } = matchDisks(disks, await listDisks(qmp), choices, shared ?? []);
  const { name, uuid } = guest.description;
  return {
    guest: name ?? uuid ?? "",
    pairs,
    problems: [
      ...await destinationProblems(qmp, guest),
      ...compareGuests(announced.guest, guest.description),
      ...problems,
    ],
  };
}
