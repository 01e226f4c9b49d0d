/**
 * Multifd: QEMU sends pages of RAM over several connections beside the main one. Both QEMUs must have the
 * same settings for it, so that both ends agree before either QEMU gets a command. Pure.
 *
 * @module
 */
import type { MultifdFeatures } from "../qmp/mod.ts";
import { schema } from "../rpc/mod.ts";
import { type AgreedPostcopy, postcopyStreams } from "./postcopy/agreed.ts";

const { flag, integer, object, text } = schema;

/** The methods of `--multifd-compression`: those that need nothing of the host but QEMU. */
export const COMPRESSIONS = ["none", "zlib", "zstd"] as const;
/** One of {@link COMPRESSIONS}. */
export type Compression = typeof COMPRESSIONS[number];

/** The fewest and the most channels of `--multifd`. */
export const CHANNELS = { least: 2, most: 16 } as const;

/** What a source asks for. */
export interface Multifd {
  /** Connections for pages of RAM, beside the main one: QEMU's `multifd-channels`. */
  readonly channels: number;
  /** QEMU's `multifd-compression`. */
  readonly compression: string;
}

/** What both ends have agreed on. */
export interface AgreedMultifd extends Multifd {
  /**
   * The destination's QEMU knows zero pages in these connections (9.0). An older one only finds them in the
   * main stream (`zero-page-detection=legacy`).
   */
  readonly zeroPages: boolean;
}

/** How RAM crosses, as both ends have agreed. */
export interface AgreedRam {
  readonly multifd: AgreedMultifd | null;
  readonly postcopy: AgreedPostcopy | null;
}

/** Checks an {@link AgreedMultifd} that was written to a journal. */
export const agreedMultifd: schema.Schema<AgreedMultifd> = object({
  channels: integer(CHANNELS.least, CHANNELS.most),
  compression: text(16),
  zeroPages: flag,
});

/** The reason for a refusal of a destination whose vmferry does not know multifd. */
export const NO_MULTIFD_THERE =
  "the destination's vmferry is older and takes RAM in one stream only. Update it, or leave out --multifd";

/**
 * Why this QEMU cannot do what is asked for, a message each.
 *
 * @param side named in the messages.
 * @param version QEMU's, for people.
 */
export function multifdProblems(
  side: "source" | "destination",
  version: string,
  features: MultifdFeatures,
  { compression }: Multifd,
): string[] {
  const qemu = `the ${side}'s QEMU ${version}`;
  if (!features.multifd) return [`${qemu} has no multifd. Leave out --multifd`];
  if (features.compressions.includes(compression)) return [];
  const known = COMPRESSIONS.filter((method) => features.compressions.includes(method)).join(", ");
  return [
    `${qemu} was built without ${compression} for multifd, expected --multifd-compression ` +
    `with one of ${known}`,
  ];
}

/** Migration settings of either QEMU; they replace those of one stream. */
export interface MultifdSettings {
  readonly capabilities: Readonly<Record<string, boolean>>;
  readonly parameters: Readonly<Record<string, number | string>>;
}

/** What either QEMU is set to; `null`: RAM crosses in one stream. */
export function multifdSettings(agreed: AgreedMultifd | null): MultifdSettings {
  if (!agreed) return { capabilities: {}, parameters: {} };
  const { channels, compression, zeroPages } = agreed;
  return {
    // QEMU 10.0 and 11.1 refuse both together.
    capabilities: { multifd: true, xbzrle: false },
    parameters: {
      "multifd-channels": channels,
      "multifd-compression": compression,
      "zero-page-detection": zeroPages ? "multifd" : "legacy",
    },
  };
}

/** How many streams of the channel `ram` there are. */
export function ramStreams(agreed: AgreedRam): number {
  return 1 + (agreed.multifd?.channels ?? 0) + postcopyStreams(agreed.postcopy);
}
