import { silentLogger, systemClock } from "../../src/io/mod.ts";
import type { BytePipe, Clock } from "../../src/io/mod.ts";
import {
  answerHandshake,
  type KnownSessions,
  type Local,
  openSession,
  type Resumable,
} from "../../src/tunnel/connection/handshake.ts";
import type { Liveness } from "../../src/tunnel/connection/connection.ts";
import type { Compression, Decompress } from "../../src/tunnel/mod.ts";
import { Session } from "../../src/tunnel/session.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

export interface PairOptions {
  readonly secret?: Uint8Array;
  readonly graceMs?: number;
  readonly clock?: Clock;
  readonly capacity?: number;
  readonly chunk?: () => number;
  readonly inFlight?: number;
  readonly liveness?: Liveness;
  readonly pipes?: [BytePipe, BytePipe];
  readonly decompress?: Decompress;
  /** Of the connecting end. */
  readonly compression?: Compression;
}

/** What both ends of a test bring to a handshake. */
export function localOf(options: PairOptions): Local {
  const { secret, decompress } = options;
  return { secret, decompress, graceMs: options.graceMs ?? 0, version: "1.0.0" };
}

/** What a listening end knows that has one session or none, and room for more. */
export function sessions(only?: Resumable): KnownSessions {
  return { find: () => only, joinable: () => undefined, ended: () => undefined, full: () => false };
}

/** Two sessions, joined in memory, with the real handshake. */
export async function sessionPair(
  options: PairOptions = {},
): Promise<{ connecting: Session; listening: Session; pipes: [BytePipe, BytePipe] }> {
  const pipes = options.pipes ?? memoryPipe({
    capacity: options.capacity ?? 65536,
    ...(options.chunk ? { chunk: options.chunk } : {}),
  });
  const local = localOf(options);
  const [a, b] = await Promise.all([
    openSession(pipes[0], local),
    answerHandshake(pipes[1], local, sessions()),
  ]);
  if (b.kind !== "opened") throw new Error("expected a new session");
  const common = {
    graceMs: local.graceMs,
    clock: options.clock ?? systemClock,
    log: silentLogger,
    decompress: local.decompress,
    ...(options.inFlight ? { inFlight: options.inFlight } : {}),
    ...(options.liveness ? { liveness: options.liveness } : {}),
  };
  const connecting = new Session({
    ...common,
    role: "connecting",
    compression: options.compression,
    identity: a.identity,
    peer: a.peer,
  });
  const listening = new Session({
    ...common,
    role: "listening",
    identity: b.identity,
    peer: b.peer,
  });
  connecting.first.attach(pipes[0], 0, 0);
  listening.first.attach(pipes[1], 0, 0);
  return { connecting, listening, pipes };
}
