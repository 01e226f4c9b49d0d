import { type Logger, systemClock } from "../../io/mod.ts";
import {
  type Compression,
  type Decompress,
  loadDecompress,
  WorkerCompressor,
} from "../../tunnel/mod.ts";
import type { TunnelOptions } from "../args/tunnel.ts";

/** What `--compress` means for a session of this end. */
export interface CompressionOfEnd {
  readonly decompress: Decompress | undefined;
  readonly compression: Compression | undefined;
}

/** Loads what `--compress` needs; without zstd in this Deno nothing is compressed, either way. */
export async function compressionOf(
  options: Pick<TunnelOptions, "compress">,
  log: Logger,
): Promise<CompressionOfEnd> {
  const { compress } = options;
  if (compress === "off") return { decompress: undefined, compression: undefined };
  const decompress = await loadDecompress();
  if (!decompress) {
    log.log("info", "nothing is compressed: this build has no zstd that works");
    return { decompress, compression: undefined };
  }
  return {
    decompress,
    compression: { mode: compress, start: () => new WorkerCompressor({ clock: systemClock, log }) },
  };
}
