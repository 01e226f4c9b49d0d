import {
  type Acceptor,
  type BytePipe,
  type Clock,
  delay,
  type Logger,
  messageOf,
  withDeadline,
} from "../../io/mod.ts";
import {
  hmp,
  MIGRATION_OVER,
  type MigrationEnd,
  parseRamBlocks,
  type QmpClient,
  QmpError,
  queryMigrate,
  waitMigration,
} from "../../qmp/mod.ts";
import { receivedEverything, type SourceRam } from "./everything_received.ts";
import { untilMayResume } from "./settle.ts";
import { POSTCOPY_PAUSED } from "./status.ts";

/** What {@link takeBack} uses. */
export interface TakeBackOptions {
  /** The source's QEMU. */
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Listens on a UNIX socket at the path. */
  readonly listen: (path: string) => Promise<Acceptor>;
  /** Removes a file; a missing one is no error. */
  readonly removeFile: (path: string) => Promise<void>;
  /** Path of a UNIX socket that QEMU can connect to; one that is left from a killed process is replaced. */
  readonly socketPath: string;
  /** Stops before a resume; a resume under way goes on, as it takes only milliseconds. */
  readonly signal?: AbortSignal;
}

/** Name of the socket in the run directory. */
export const BACK_SOCKET = "back.sock";

/** How long a status may stay before vmferry has QEMU close its stream, ms; again after each. */
const CLOSE_MS = 2_000;
/** How long a status may stay at all, ms. */
const STALL_MS = 20_000;
/** How long QEMU may take to connect, ms. */
const CONNECT_MS = 5_000;
/** How often QEMU may resume. A second try is for one whose first connection broke. */
const TRIES = 3;
/** Between two tries, ms. */
const AGAIN_MS = 500;

/**
 * Ends the post-copy of a source whose guest has never run at the destination **and never will**: the
 * caller has made sure of that, else two guests run. Close the connection of the stream before.
 *
 * QEMU takes neither `cont` nor `migrate_cancel` in post-copy, though it has the guest's whole RAM
 * (`release-ram` must be off). It does resume the stream (QMP `migrate` with `resume`). The destination of
 * that stream is this process, which claims to have every page; so the migration completes, and `cont`
 * activates the disks and runs the guest. The caller gives `cont` unless the guest runs already.
 *
 * Can be repeated, also after a process was killed in the middle. QEMU before 8.2 may hang in post-copy for
 * good if that happens within the milliseconds of the resume, or if an earlier post-copy of the same QEMU
 * has `failed`: that leaves a thread behind which takes the next resume. Tried with QEMU 7.2, 10.0 and 11.1.
 *
 * @returns how QEMU's migration ended: `completed`; `failed` where QEMU ended it by itself, because the
 * destination cannot have loaded the guest (QEMU 10.0 and later then resume the guest themselves); or
 * any status with which it was over before.
 * @throws {Error} with QEMU's reason when its migration is not over.
 * @throws the signal's reason when it is aborted.
 * @throws as `QmpClient.execute`.
 */
export async function takeBack(options: TakeBackOptions): Promise<MigrationEnd> {
  const { clock, log, signal } = options;
  let end = await settled(options);
  let fault: unknown;
  for (let tries = 0; end.status === POSTCOPY_PAUSED && tries < TRIES; tries++) {
    if (tries > 0) await delay(clock, AGAIN_MS, signal);
    signal?.throwIfAborted();
    fault = undefined;
    await resume(options).catch((error) => {
      log.log("debug", `QEMU's post-copy did not resume: ${messageOf(error)}`);
      fault = error;
    });
    end = await settled(options);
  }
  if (MIGRATION_OVER.includes(end.status)) return { status: end.status, errorDesc: end.errorDesc };
  const reasons = [(await queryMigrate(options.qmp)).errorDesc, fault && messageOf(fault)];
  const reason = reasons.filter(Boolean).join("; ");
  throw new Error(`QEMU did not end its post-copy (status "${end.status}"): ${reason}`, {
    cause: fault,
  });
}

/** Waits until the migration is over, or paused because it has no stream. */
async function settled(options: TakeBackOptions): Promise<MigrationEnd> {
  const { qmp, clock, signal } = options;
  const stop = closeStreams(options);
  try {
    return await waitMigration(
      qmp,
      (status) => MIGRATION_OVER.includes(status) || status === POSTCOPY_PAUSED,
      {
        ...{ stallMs: STALL_MS, clock },
        ...(signal ? { signal } : {}),
      },
    );
  } catch (error) {
    if (!(error instanceof QmpError) || error.code !== "timeout" || qmp.atLeast(8, 2)) throw error;
    const why = "QEMU before 8.2 cannot resume after an interrupted resume or a failed post-copy";
    throw new Error(`${error.message}; ${why}`, { cause: error });
  } finally {
    stop();
  }
}

/**
 * Has QEMU close the stream of its migration, now and then: a connection may still be open that nobody
 * serves. `yank` does that in any status, `migrate-pause` in few.
 *
 * @returns a function that stops it.
 */
function closeStreams({ qmp, clock, log }: TakeBackOptions): () => void {
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(CLOSE_MS, () => {
      next();
      // Out of band: QEMU answers nothing else while it waits to send.
      qmp.executeUntyped("yank", { instances: [{ type: "migration" }] }, { oob: true })
        .catch((error) => log.log("debug", `yank: ${messageOf(error)}`));
    });
  };
  next();
  return () => cancel();
}

/** Has QEMU resume, with this process as the destination; waits until the migration is over or paused again. */
async function resume(options: TakeBackOptions): Promise<void> {
  const { qmp, clock, log, listen, removeFile, socketPath } = options;
  const ram = await sourceRam(qmp);
  await removeFile(socketPath);
  await untilMayResume(qmp, clock, options.signal);
  const acceptor = await listen(socketPath);
  const pipes: BytePipe[] = [];
  const broken = new AbortController();
  let isServed = false;
  const serving = serve(acceptor, pipes, ram, clock)
    .then(() => isServed = true, (error) => broken.abort(error));
  try {
    log.log("debug", "QEMU's post-copy resumes, to a destination that has every page");
    await qmp.execute("migrate", { uri: `unix:${socketPath}`, resume: true });
    await waitMigration(
      qmp,
      // QEMU 7.2 answers before its status leaves POSTCOPY_PAUSED.
      (status) => MIGRATION_OVER.includes(status) || (isServed && status === POSTCOPY_PAUSED),
      { stallMs: STALL_MS, clock, signal: broken.signal },
    );
  } finally {
    acceptor.close();
    for (const pipe of pipes) pipe.close();
    await serving;
  }
}

/**
 * Serves QEMU's first connection. With `postcopy-preempt` QEMU makes a second one, for urgent pages: that
 * stays open and unread.
 */
async function serve(
  acceptor: Acceptor,
  pipes: BytePipe[],
  ram: SourceRam,
  clock: Clock,
): Promise<void> {
  const first = await withDeadline(clock, CONNECT_MS, "QEMU to connect", acceptor.accept());
  if (!first) return;
  pipes.push(first);
  const hold = async () => {
    for (let pipe; (pipe = await acceptor.accept()) !== undefined;) pipes.push(pipe);
  };
  hold().catch(() => {});
  await receivedEverything(first, ram);
}

async function sourceRam(qmp: QmpClient): Promise<SourceRam> {
  const [listing, { ram }] = await Promise.all([hmp(qmp, "info ramblock"), queryMigrate(qmp)]);
  const blocks = parseRamBlocks(listing).map(({ name, usedBytes }) => [name, usedBytes] as const);
  return { blocks: new Map(blocks), pageBytes: ram?.pageBytes ?? 4096 };
}
