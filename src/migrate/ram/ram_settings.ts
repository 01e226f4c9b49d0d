import type { WantedSettings } from "../../qmp/mod.ts";
import { type AgreedRam, multifdSettings } from "../multifd.ts";
import { postcopyCapabilities } from "../postcopy/mod.ts";
import { ONE_STREAM, PLAIN, REPLACED, xbzrleSettings } from "../settings.ts";

/** What the source's QEMU is to be set to, by those who decide it. */
export interface RamDecisions extends AgreedRam {
  /** The guest sleeps (S3). */
  readonly asleep: boolean;
  /** Bytes of the cache of `--xbzrle`; absent: none. */
  readonly xbzrleCacheBytes: number | undefined;
  /** Bandwidth and downtime, which change while RAM crosses. */
  readonly limits: Readonly<Record<string, number>>;
  /** Of the ladder; its parameters change, too. */
  readonly steps: Required<Pick<WantedSettings, "capabilities">> & {
    readonly parameters: Readonly<Record<string, number>>;
  };
}

/** The migration settings of the source's QEMU. Pure. */
export function ramSettings(decided: RamDecisions): WantedSettings {
  const { asleep, limits, steps } = decided;
  const multifd = multifdSettings(decided.multifd);
  const xbzrle = xbzrleSettings(decided.xbzrleCacheBytes);
  return {
    capabilities: {
      ...ONE_STREAM,
      ...{ ...xbzrle.capabilities, ...multifd.capabilities, ...steps.capabilities },
      "pause-before-switchover": true,
      // A guest in S3 cannot be resumed once QEMU has completed its migration. With a return path QEMU
      // completes only when the destination's QEMU has loaded the guest.
      ...(asleep ? { "return-path": true } : {}),
      ...postcopyCapabilities(decided.postcopy),
    },
    parameters: {
      ...{ ...PLAIN, ...multifd.parameters, ...xbzrle.parameters },
      ...{ ...limits, ...steps.parameters },
    },
    replaced: REPLACED,
    changing: Object.keys({ ...limits, ...steps.parameters }),
  };
}
