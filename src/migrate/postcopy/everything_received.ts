import { type BytePipe, writeAll } from "../../io/mod.ts";
import { ResumedStream, StreamError, type StreamItem } from "./resumed_stream.ts";
import { everyPage, pong, resumeAck, shut } from "./return_path.ts";
import * as wire from "./stream_wire.ts";

/** The RAM of the source. */
export interface SourceRam {
  /** Name of each RAM block -> its used length, bytes. */
  readonly blocks: ReadonlyMap<string, number>;
  /** Size of the guest's pages (QEMU's target pages), bytes; smaller than the host's huge pages. */
  readonly pageBytes: number;
}

/**
 * Plays the destination of a source that resumes post-copy, one that has received every page: QEMU sends
 * no page then, and its migration is complete. Returns when QEMU has sent the end of its stream and
 * has been answered. Does not close the pipe.
 *
 * @throws {StreamError} when QEMU sends something else than a resumed post-copy, or hangs up before its end.
 * @throws as the pipe.
 */
export async function receivedEverything(pipe: BytePipe, ram: SourceRam): Promise<void> {
  const stream = new ResumedStream(ram.pageBytes);
  const into = new Uint8Array(64 * 1024);
  for (let n; (n = await pipe.read(into)) !== null;) {
    for (const item of stream.push(into.subarray(0, n))) {
      for (const message of answers(item, ram)) await writeAll(pipe, message);
      if (item.kind === "end") return;
    }
  }
  throw new StreamError("QEMU closed the connection before the end of its stream");
}

function answers(item: StreamItem, ram: SourceRam): Iterable<Uint8Array> {
  if (item.kind === "end") return [shut()];
  switch (item.number) {
    case wire.CMD_OPEN_RETURN_PATH:
      return [];
    case wire.CMD_PING:
      return [pong(item.payload)];
    case wire.CMD_RECV_BITMAP:
      return everyPageOf(item.payload, ram);
    case wire.CMD_POSTCOPY_RESUME:
      return [resumeAck()];
    default:
      throw new StreamError(`QEMU sent the command ${item.number}, which resumes no post-copy`);
  }
}

/** @param payload u8 length of the block's name, the name. */
function everyPageOf(payload: Uint8Array, { blocks, pageBytes }: SourceRam): Iterable<Uint8Array> {
  const name = payload.subarray(1);
  if (payload[0] !== name.length) {
    throw new StreamError(
      `QEMU asked for a RAM block with a name of ${name.length} bytes, ` +
        `expected ${payload[0]}`,
    );
  }
  const text = new TextDecoder().decode(name);
  const usedBytes = blocks.get(text);
  if (usedBytes === undefined) {
    throw new StreamError(`QEMU asked for the RAM block "${text}", which it did not list`);
  }
  return everyPage(name, Math.floor(usedBytes / pageBytes));
}
