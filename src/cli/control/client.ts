/**
 * Finds the migrations that run on this host, by the control sockets in their private directories.
 *
 * @module
 */
import {
  DeadlineError,
  LineSplitter,
  messageOf,
  rootOf,
  systemClock,
  writeAll,
} from "../../io/mod.ts";
import { connectUnix } from "../../transport/mod.ts";
import type { StatusEvent } from "../output/events.ts";
import { runFolders } from "../run/base.ts";
import { CONTROL_SOCKET, ControlError, MAX_ANSWER, parseAnswer, type Request } from "./protocol.ts";

/** A migration that answered. */
export interface Found {
  /** Its control socket. */
  readonly socket: string;
  /** Its QMP socket as it was given, and where that leads to. */
  readonly qmp: readonly string[];
  readonly status: StatusEvent;
}

/** A control socket behind which nobody answered, and why not. */
export interface Silent {
  readonly runDir: string;
  /** Its process is gone and left its directory. */
  readonly stale: boolean;
  readonly reason: string;
}

/** How long a migration may take to say how it is, ms. */
const STATUS_MS = 5_000;

/**
 * Asks every migration that has its directory in `base` how it is.
 *
 * @throws {UsageError} when the directory can't be read, or others can write to it.
 */
export async function findMigrations(
  base: string,
): Promise<{ readonly found: readonly Found[]; readonly silent: readonly Silent[] }> {
  const found: Found[] = [];
  const silent: Silent[] = [];
  await Promise.all((await runFolders(base)).map(async (runDir) => {
    const socket = `${runDir}/${CONTROL_SOCKET}`;
    try {
      const status = await ask(socket, { command: "status" }, STATUS_MS) as StatusEvent;
      const qmp = [status.qmp, await Deno.realPath(status.qmp).catch(() => status.qmp)];
      found.push({ socket, qmp, status });
    } catch (error) {
      const cause = rootOf(error);
      // Ended while we looked, or not yet so far.
      if (cause instanceof Deno.errors.NotFound) return;
      const stale = cause instanceof Deno.errors.ConnectionRefused;
      const reason = stale
        ? "its process is gone; it was killed or crashed"
        : cause instanceof Deno.errors.PermissionDenied
        ? "it belongs to another user"
        : messageOf(error);
      silent.push({ runDir, stale, reason });
    }
  }));
  found.sort((a, b) => a.status.startedAt < b.status.startedAt ? -1 : 1);
  silent.sort((a, b) => a.runDir < b.runDir ? -1 : 1);
  return { found, silent };
}

/**
 * Makes one request.
 *
 * @throws {ControlError} when the migration did not do it.
 * @throws {DeadlineError} when no answer came within `timeoutMs`.
 * @throws {Error} when nobody can be reached, `cause` is the system's error.
 */
export async function ask(socket: string, request: Request, timeoutMs: number): Promise<unknown> {
  const late = new AbortController();
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  tooLate.catch(() => {});
  const cancel = systemClock.after(timeoutMs, () => {
    const error = new DeadlineError(`No answer within ${timeoutMs / 1000} s; is it stopped?`);
    late.abort(error);
    reject(error);
  });
  try {
    return await Promise.race([converse(socket, request, late.signal), tooLate]);
  } finally {
    cancel();
  }
}

async function converse(socket: string, request: Request, signal: AbortSignal): Promise<unknown> {
  const pipe = await connectUnix(socket, signal);
  const onAbort = () => pipe.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await writeAll(pipe, new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const lines = new LineSplitter();
    const buffer = new Uint8Array(65536);
    let n: number | null;
    while ((n = await pipe.read(buffer)) !== null) {
      for (const line of lines.push(buffer.subarray(0, n), MAX_ANSWER)) return parseAnswer(line);
    }
    throw new ControlError("gone", "It ended without an answer");
  } finally {
    signal.removeEventListener("abort", onAbort);
    pipe.close();
  }
}
