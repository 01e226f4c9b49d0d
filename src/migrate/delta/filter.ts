import { type BytePipe, type Logger, messageOf } from "../../io/mod.ts";
import { NbdClient, NbdServer } from "../../nbd/mod.ts";
import type { Params, Result } from "../../rpc/mod.ts";
import type { SpliceResult, TunnelStream } from "../../tunnel/mod.ts";
import {
  DeltaDevice,
  DeltaDisk,
  type DeltaOptions,
  KnownHashes,
  type Range,
} from "../../delta/mod.ts";
import type { Mirror } from "../disks/mirror_target.ts";
import { WatchedDevice, type WriteWatch } from "../verify/watched_device.ts";

/**
 * How long the negotiation with an export may take, ms. While the connection to the destination is down, it waits:
 * its session ends the stream, and the mirrors' own watch cuts it off earlier.
 */
const NEGOTIATION_MS = 3_600_000;

type Answer = Promise<Result<"hashBlocks">>;

/** The disk behind an export. */
export interface FilteredDisk {
  /** As `ask` and `watch` get it. */
  readonly name: string;
  /** Only what the destination lacks is sent. */
  readonly delta: boolean;
  readonly options: DeltaOptions;
}

/** What a filter needs. */
export interface DeltaFilterOptions {
  /** `undefined`: there is no such export. */
  readonly find: (exportName: string) => FilteredDisk | undefined;
  /**
   * Asks the destination for the hashes of a range. `undefined`: nothing is known of its disks, as after
   * another process has written to them, and everything is sent.
   */
  readonly ask: ((disk: string, range: Range) => Answer) | undefined;
  /** What has to hear of the writes to a disk. Default: nothing. */
  readonly watch?: (disk: string) => WriteWatch | undefined;
  readonly log: Logger;
}

/**
 * The NBD server of the mirrors of a migration. It sends only what the destination's disks lack, where that is
 * asked for, and reports each write to `watch`.
 */
export class DeltaFilter {
  readonly #disks = new Map<string, DeltaDisk>();
  readonly #options: DeltaFilterOptions;

  /** Serves nothing yet. */
  constructor(options: DeltaFilterOptions) {
    this.#options = options;
  }

  /** Bytes of all disks that were not sent. */
  get skippedSum(): number {
    return [...this.#disks.values()].reduce((sum, { skippedBytes }) => sum + skippedBytes, 0);
  }

  /** Bytes of a disk that were not sent, because the destination has them. */
  skippedBytes(disk: string): number {
    return this.#disks.get(disk)?.skippedBytes ?? 0;
  }

  /** Serves one connection of QEMU with a stream to the destination's NBD server. As `splice`. */
  readonly join = async (stream: TunnelStream, pipe: BytePipe): Promise<SpliceResult> => {
    let client: NbdClient | undefined;
    let error: Error | undefined;
    // A mirror waits for a lost connection to come back; without requests the server would not notice.
    const far = noticing(stream, () => pipe.close());
    const server = new NbdServer({
      list: () => [],
      find: async (exportName) => {
        const found = this.#options.find(exportName);
        if (!found) return undefined;
        client = await NbdClient.open(far, exportName, { timeoutMs: NEGOTIATION_MS });
        // QEMU's mirrors have one socket: those without `delta` come here, too.
        const device = found.delta
          ? new DeltaDevice(client, this.#diskOf(found.name, client.sizeBytes), found.options)
          : client;
        const watch = this.#options.watch?.(found.name);
        return { name: exportName, device: watch ? new WatchedDevice(device, watch) : device };
      },
    }, { timeoutMs: NEGOTIATION_MS });
    try {
      await server.serve(pipe);
    } catch (cause) {
      error = stream.failure ?? (cause instanceof Error ? cause : new Error(messageOf(cause)));
    }
    // QEMU has left: nobody waits for an answer any more.
    client?.[Symbol.dispose]();
    stream.close();
    return { sent: stream.bytesSent, received: stream.bytesReceived, error };
  };

  /** One for all connections. */
  #diskOf(name: string, sizeBytes: number): DeltaDisk {
    const { ask, log } = this.#options;
    let disk = this.#disks.get(name);
    if (!disk) {
      const known = ask && new KnownHashes({ ask: (range) => ask(name, range), sizeBytes, log });
      disk = new DeltaDisk(known, sizeBytes);
      this.#disks.set(name, disk);
    }
    return disk;
  }
}

/** The migration, as far as a filter needs it. */
export interface FilterContext {
  /** Answers `hashBlocks`; `peer` is missing while the destination is away. */
  readonly destination:
    | { readonly peer: { hashBlocks(params: Params<"hashBlocks">): Answer } | undefined }
    | undefined;
  /** With `--verify`: hears of all writes. */
  readonly verification?: { watch(disk: string): WriteWatch | undefined } | undefined;
  readonly log: Logger;
}

/**
 * The filter of the mirrors with `delta`, or of all with `--verify`; `undefined` where nothing needs it.
 *
 * @param isFirst no other process has served them: the destination's disks are as they were found.
 */
export function filterFor(
  mirrors: readonly Mirror[],
  context: FilterContext,
  isFirst: boolean,
): DeltaFilter | undefined {
  const { verification } = context;
  if (!verification && !mirrors.some(({ delta }) => delta)) return undefined;
  const ask = (disk: string, range: Range): Answer => {
    const peer = context.destination?.peer;
    if (!peer) return Promise.reject(new Error("The destination is away"));
    return peer.hashBlocks({ disk, ...range });
  };
  return new DeltaFilter({
    find: (exportName) => {
      const mirror = mirrors.find((each) => each.exportName === exportName);
      if (!mirror) return undefined;
      const { name, delta, noHoles } = mirror;
      return { name, delta: delta ?? false, options: { noHoles: noHoles ?? false } };
    },
    ...{ ask: isFirst ? ask : undefined, log: context.log },
    ...(verification ? { watch: (disk: string) => verification.watch(disk) } : {}),
  });
}

/** A stream that calls `onEnd` when nothing more can be read from it. */
function noticing(stream: TunnelStream, onEnd: () => void): BytePipe {
  return {
    async read(into) {
      try {
        const n = await stream.read(into);
        if (n === null) onEnd();
        return n;
      } catch (error) {
        onEnd();
        throw error;
      }
    },
    write: (from) => stream.write(from),
    closeWrite: () => stream.closeWrite(),
    close: () => stream.close(),
  };
}
