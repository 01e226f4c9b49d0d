import { writeAll } from "../../../src/io/mod.ts";
import { type ClientOptions, NbdClient } from "../../../src/nbd/mod.ts";
import { concat } from "../../support/bytes.ts";
import { memoryPipe, type MemoryPipeEnd } from "../../support/memory_pipe.ts";
import { ACK, exportInfo, GREETING, hex, INFO, reply, text, u16, u32, u64 } from "../dialogue.ts";

const [STRUCTURED, CONTEXT, GO] = [8, 10, 7];
export const SIZE = 1 << 20;

/** NBD_INFO_EXPORT to NBD_OPT_GO: everything but FAST_ZERO, also DF. */
const info = (flags: number) => reply(GO, INFO, exportInfo(SIZE, flags).subarray(20));
const ALL = 0b0101_1110_1101;

/** A server's negotiation with structured replies and base:allocation as context 9. */
export const NEGOTIATED = concat([
  GREETING,
  reply(STRUCTURED, ACK),
  reply(CONTEXT, 4, concat([u32(9), text("base:allocation")])),
  reply(CONTEXT, ACK),
  info(ALL),
  reply(GO, ACK),
]);

/** The same with simple replies alone. */
export const SIMPLE = concat([
  GREETING,
  reply(STRUCTURED, 0x80000001),
  info(ALL),
  reply(GO, ACK),
]);

/** A request as the server got it. */
export interface Heard {
  readonly flags: number;
  readonly type: number;
  readonly cookie: bigint;
  readonly offset: bigint;
  readonly length: number;
}

/** A server that negotiates and then does as the test says. */
export class FakeServer {
  readonly pipe: MemoryPipeEnd;
  /** The client's end; `read` may be replaced, `readNow` is the original. */
  readonly clientPipe: MemoryPipeEnd & { readNow: MemoryPipeEnd["read"] };
  readonly client: Promise<NbdClient>;

  constructor(negotiation: Uint8Array = NEGOTIATED, options: ClientOptions = {}) {
    const [ours, theirs] = memoryPipe();
    this.pipe = theirs;
    this.clientPipe = Object.assign(ours, { readNow: ours.read.bind(ours) });
    this.client = NbdClient.open(ours, "x", options);
    this.client.catch(() => {});
    writeAll(theirs, negotiation).catch(() => {});
  }

  /** Waits until the client is open, and drops what it has sent for that. */
  async opened(): Promise<NbdClient> {
    const client = await this.client;
    await this.pipe.read(new Uint8Array(4096));
    return client;
  }

  /** The next request; a write's data is left in the pipe. */
  async request(): Promise<Heard> {
    const bytes = await this.take(28);
    const numbers = new DataView(bytes.buffer);
    return {
      flags: numbers.getUint16(4),
      type: numbers.getUint16(6),
      cookie: numbers.getBigUint64(8),
      offset: numbers.getBigUint64(16),
      length: numbers.getUint32(24),
    };
  }

  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let got = 0; got < length;) got += (await this.pipe.read(bytes.subarray(got)))!;
    return bytes;
  }

  async say(...parts: readonly Uint8Array[]): Promise<void> {
    await writeAll(this.pipe, concat(parts)).catch(() => {});
  }
}

/** A chunk of a structured reply. */
export const chunk = (cookie: bigint, flags: number, type: number, data: Uint8Array) =>
  concat([hex("668e33ef"), u16(flags), u16(type), u64(cookie), u32(data.length), data]);

/** A simple reply. */
export const simple = (cookie: bigint, error: number, data = new Uint8Array()) =>
  concat([hex("67446698"), u32(error), u64(cookie), data]);
