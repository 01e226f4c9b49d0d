/**
 * How a migration shares its host with others. Pure.
 *
 * @module
 */
import { BANDWIDTH } from "../args/limits.ts";
import { type Given, seconds } from "../args/given.ts";
import { parseSize } from "../args/size.ts";

/** Most migrations that `--max-parallel` can allow. */
const MOST = 1000;

/** How a migration shares its host with others. */
export interface ParallelArguments {
  /** How many migrations may run; `null`: it never waits. */
  readonly maxParallel: number | null;
  /** How long it waits for its turn, ms; 0: as long as it takes. */
  readonly maxWaitMs: number;
  /** Bytes per second for all of them together; `null`: no limit. */
  readonly hostBandwidth: number | null;
  /** The directory in which they see each other; `undefined`: one in the directory of runs. */
  readonly lockDir: string | undefined;
}

/** Reads `--max-parallel`, `--max-wait`, `--host-bandwidth` and `--lock-dir`. */
export function parallelOf(given: Given): ParallelArguments {
  const isWhole = (text: string) => {
    const count = /^\d+$/.test(text) ? Number(text) : 0;
    return count >= 1 && count <= MOST ? count : undefined;
  };
  const maxParallel = given.read("max-parallel", isWhole, `a number from 1 to ${MOST}`) ?? null;
  const hostBandwidth = given.read("host-bandwidth", parseSize, BANDWIDTH) ?? null;
  if (given.has("max-wait") && maxParallel === null) {
    given.fail("--max-wait needs --max-parallel N: nothing else waits");
  }
  if (given.has("lock-dir") && maxParallel === null && hostBandwidth === null) {
    given.fail("--lock-dir needs --max-parallel N or --host-bandwidth SIZE");
  }
  return {
    ...{ maxParallel, hostBandwidth },
    maxWaitMs: seconds(given, "max-wait", 0),
    lockDir: given.one("lock-dir"),
  };
}
