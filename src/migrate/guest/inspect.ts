/**
 * Describes the guest of a QEMU, and finds the problems that prevent its migration.
 *
 * @module
 */
import {
  describeMachine,
  listDisks,
  type QmpClient,
  queryBlockJobs,
  queryMigrate,
  queryMultifd,
} from "../../qmp/mod.ts";
import type { GuestDescription, Params } from "../../rpc/mod.ts";
import { migrationBlockers } from "./blockers.ts";
import { type AgreedMultifd, multifdProblems } from "../multifd.ts";
import { postcopyProblemsThere } from "../postcopy/mod.ts";
import { PREFIX } from "../storage/left_exports.ts";
import { ASLEEP } from "./watch.ts";
import { carriesAsleep, runs, versionOf } from "./run_states.ts";
import { losesEncryption } from "../disks/stays.ts";
import { idsOfNbdExports } from "../disks/nbd_exports.ts";
import { compareGuests, type DiskChoice, type DiskPair, matchDisks } from "../disks/plan.ts";

/** A guest and its QEMU's run state, such as `running`, `paused` or `inmigrate`. */
export interface Guest {
  readonly description: GuestDescription;
  readonly status: string;
}

const NO_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Asks QEMU for its guest and run state.
 *
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
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

/** Run states of a guest that does not run and can be migrated; it arrives paused. */
const MOVABLE = ["paused", "prelaunch"];

/** Advice for a guest that was paused when its migration failed: QEMU 7.2 leaves it in `postmigrate`. */
export const STUCK = "Run the guest once ('cont', then 'stop' in QEMU's monitor) and migrate again";
/** Why the guest of a migration that has completed is in `postmigrate`. */
const LEFT = "An earlier migration has moved this guest to another host: do not resume it here";
/** What vmferry's block jobs and NBD exports have names with. */
const OUR_PREFIX = "vmferry-";
/** States of QEMU's migration in which it is under way. */
const UNDER_WAY = ["setup", "active", "pre-switchover", "device", "cancelling"];
/** Advice for a block job of vmferry's. */
const OURS =
  "It belongs to a migration that runs ('vmferry status') or was interrupted ('vmferry recover')";

/**
 * The problems that prevent a migration from this QEMU, a message each; empty where there is none.
 *
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
export async function sourceProblems(qmp: QmpClient, guest: Guest): Promise<string[]> {
  const problems: string[] = [];
  if (guest.status === "suspended" && !carriesAsleep(versionOf(qmp))) problems.push(ASLEEP);
  const migration = await queryMigrate(qmp);
  if (!MOVABLE.includes(guest.status) && !runs(guest.status)) {
    const undone = guest.status === "postmigrate" && migration.status !== "completed";
    const left = guest.status === "postmigrate" && !undone ? `. ${LEFT}` : "";
    const why = undone ? `. ${STUCK}` : `, expected running or paused${left}`;
    problems.push(`the guest is in state "${guest.status}"${why}`);
  }
  for (const reason of await migrationBlockers(qmp)) {
    problems.push(blocked(reason));
  }
  // QEMU 11.1 reports no blocker for these disks, and the attempt ends QEMU and its guest.
  for (const { name } of (await listDisks(qmp)).filter(({ namespace }) => namespace)) {
    problems.push(
      `disk ${name} is a separate NVMe namespace (nvme-ns), which QEMU cannot migrate. ` +
        "Give the drive to the nvme device itself, or attach it by virtio-blk or virtio-scsi",
    );
  }
  if (UNDER_WAY.includes(migration.status)) {
    problems.push(
      `a migration of this QEMU is already under way (status "${migration.status}"). ` +
        "Wait for its end or cancel it",
    );
  }
  for (const job of await queryBlockJobs(qmp)) {
    const advice = job.device.startsWith(OUR_PREFIX) ? OURS : "Wait for its end or cancel it";
    problems.push(`the block job "${job.device}" (${job.type}) is running. ${advice}`);
  }
  return problems;
}

/**
 * Whether a migration from this QEMU is under way: vmferry mirrors its disks, or its RAM crosses. A check must
 * make nothing in it then.
 *
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
export async function isMigrating(qmp: QmpClient): Promise<boolean> {
  if (UNDER_WAY.includes((await queryMigrate(qmp)).status)) return true;
  return (await queryBlockJobs(qmp)).some(({ device }) => device.startsWith(OUR_PREFIX));
}

const NVME = "Emulated NVMe crosses only from QEMU 11.1 to QEMU 11.1 or later; " +
  "virtio-blk and virtio-scsi cross between all versions";

/** A migration blocker, in QEMU's words (`blocked-reasons` of `query-migrate`, QEMU 6.0). */
function blocked(reason: string): string {
  return `QEMU cannot migrate this guest: ${reason}${isNvme(reason) ? `. ${NVME}` : ""}`;
}

/** In QEMU's blocker of a device, the device's path ends with the name of its state. */
function isNvme(blocker: string): boolean {
  return /\/nvme$/.test(blocker);
}

/**
 * The problems that prevent a migration to this QEMU, a message each; empty where there is none.
 *
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
export async function destinationProblems(qmp: QmpClient, guest: Guest): Promise<string[]> {
  const problems: string[] = [];
  if (guest.status !== "inmigrate") {
    problems.push(
      `QEMU is in state "${guest.status}", expected "inmigrate". Start it with -incoming defer`,
    );
    return problems;
  }
  const exports = (await idsOfNbdExports(qmp)).filter((id) => !id.startsWith(PREFIX));
  const ours = exports.filter((id) => id.startsWith(OUR_PREFIX));
  if (ours.length > 0) {
    problems.push(
      `QEMU exports its disks to another migration (${ours.join(", ")}). It runs ` +
        "('vmferry status') or was interrupted ('vmferry recover')",
    );
  } else if (exports.length > 0) {
    problems.push(
      `QEMU's only NBD server serves other exports (${exports.join(", ")}). ` +
        "End it with the QMP command nbd-server-stop and try again",
    );
  }
  const { status, listens, blockedReasons } = await queryMigrate(qmp);
  // A QEMU version that cannot save a device cannot load it either.
  for (const reason of blockedReasons.filter(isNvme)) problems.push(blocked(reason));
  if (listens && ["none", "setup"].includes(status)) {
    problems.push(
      "QEMU waits for a guest on its own socket, expected vmferry's. Start it with -incoming defer",
    );
  } else if (status !== "none") {
    problems.push(
      `QEMU already had its one incoming migration (status "${status}"). ` +
        "Start it again with -incoming defer",
    );
  }
  return problems;
}

/** What a destination finds when a source announces a guest (RPC `prepare`). */
export interface Look {
  /** The guest's name or UUID in the destination's QEMU; empty without either. */
  readonly guest: string;
  /** The announced disks, each with the destination's disk that it would be copied to. */
  readonly pairs: readonly DiskPair[];
  /** What prevents the migration, a message each. */
  readonly problems: readonly string[];
  /** What the user may not expect, a message each. */
  readonly warnings: readonly string[];
  /** What QEMU would be set to; `null` where the source did not ask for it. */
  readonly multifd: AgreedMultifd | null;
}

/**
 * Compares the destination's QEMU with the guest and disks that a source has announced.
 *
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
export async function lookAt(
  qmp: QmpClient,
  announced: Params<"prepare">,
  choices: readonly DiskChoice[],
): Promise<Look> {
  const guest = await inspectGuest(qmp);
  const { disks, shared, multifd } = announced;
  const features = multifd && await queryMultifd(qmp, multifd.compression);
  const { pairs, problems } = matchDisks(disks, await listDisks(qmp), choices, shared ?? []);
  const { name, uuid } = guest.description;
  return {
    guest: name ?? uuid ?? "",
    pairs,
    warnings: losesEncryption(pairs, announced.encrypted ?? []),
    multifd: multifd && features && { ...multifd, zeroPages: features.zeroPages },
    problems: [
      ...await destinationProblems(qmp, guest),
      ...multifd && features
        ? multifdProblems("destination", versionOf(qmp), features, multifd)
        : [],
      ...announced.postcopy && guest.status === "inmigrate" ? await postcopyProblemsThere(qmp) : [],
      ...compareGuests(announced.guest, guest.description),
      ...problems,
    ],
  };
}
