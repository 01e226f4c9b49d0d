/**
 * How RAM crosses, as it is typed. Pure.
 *
 * @module
 */
import {
  type AutoConverge,
  CHANNELS,
  COMPRESSIONS,
  type CopyMode,
  type PostcopyChoice,
  type RamChoices,
} from "../../migrate/mod.ts";
import { type Given, seconds } from "./given.ts";
import { parseSize } from "./size.ts";

/** The options of how RAM crosses. libvirt's migration has options of its own. */
export const RAM_FLAGS = [
  ...["multifd", "multifd-compression", "xbzrle", "xbzrle-cache", "copy-mode", "dirty-limit"],
  ...["postcopy", "postcopy-after", "allow-postcopy", "timeout-action"],
  ...["auto-converge", "no-auto-converge"],
  ...["throttle-initial", "throttle-increment", "throttle-max"],
] as const;

/** Reads the options of how RAM crosses, and of busy guests. */
export function ramOf(given: Given): RamChoices {
  const postcopy = postcopyOf(given);
  if (postcopy && given.has("multifd")) {
    given.fail(
      "--multifd and post-copy do not go together: QEMU before 10.1 takes one or the other",
    );
  }
  const xbzrle = xbzrleOf(given);
  if (xbzrle.xbzrleCacheBytes !== undefined && (postcopy || given.has("multifd"))) {
    given.fail("--xbzrle goes with pre-copy in one stream: leave it or the other option out");
  }
  return {
    ...{ ...multifdOf(given), ...xbzrle, ...copyModeOf(given), ...throttleOf(given) },
    ...postcopy ? { postcopy } : {},
  };
}

/** Reads `--postcopy`, `--postcopy-after` and `--allow-postcopy`. */
function postcopyOf(given: Given): PostcopyChoice | undefined {
  const afterMs = given.has("postcopy-after") ? seconds(given, "postcopy-after", 0) : undefined;
  if (given.has("postcopy") && afterMs !== undefined) {
    given.fail("--postcopy is at the end of the first pass: leave it or --postcopy-after out");
  }
  if (given.has("postcopy")) return { when: "first-pass" };
  if (afterMs !== undefined) return { when: "after", afterMs };
  const isAction = given.one("timeout-action") === "postcopy";
  return isAction || given.has("allow-postcopy") ? { when: "asked" } : undefined;
}

/** Reads `--multifd` and `--multifd-compression`. */
function multifdOf(given: Given): Pick<RamChoices, "multifd"> {
  const { least, most } = CHANNELS;
  const channels = given.read("multifd", (text) => {
    const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
    return number >= least && number <= most ? number : undefined;
  }, `a number of connections from ${least} to ${most}`);
  const compression = given.read(
    "multifd-compression",
    (text) => COMPRESSIONS.find((method) => method === text),
    `one of ${COMPRESSIONS.join(", ")}`,
  );
  if (channels === undefined) {
    if (compression) given.fail("--multifd-compression needs --multifd N");
    return {};
  }
  return { multifd: { channels, compression: compression ?? "none" } };
}

/** Reads `--xbzrle` and `--xbzrle-cache`. */
function xbzrleOf(given: Given): Pick<RamChoices, "xbzrleCacheBytes"> {
  const bytes = given.read("xbzrle-cache", (text) => {
    const size = parseSize(text);
    const fits = size !== undefined && size >= LEAST_CACHE && Number.isInteger(Math.log2(size));
    return fits ? size : undefined;
  }, "a power of two from 1M, such as 256M");
  if (!given.has("xbzrle")) {
    if (bytes !== undefined) given.fail("--xbzrle-cache needs --xbzrle");
    return {};
  }
  return { xbzrleCacheBytes: bytes ?? DEFAULT_CACHE };
}

/** The smallest cache, and QEMU's default, bytes. */
const LEAST_CACHE = 1024 * 1024;
const DEFAULT_CACHE = 64 * 1024 * 1024;

/** Reads `--copy-mode`. */
function copyModeOf(given: Given): Pick<RamChoices, "copyMode"> {
  const modes: readonly CopyMode[] = ["background", "write-blocking"];
  const copyMode = given.read(
    "copy-mode",
    (text) => modes.find((mode) => mode === text),
    modes.join(" or "),
  );
  return copyMode ? { copyMode } : {};
}

/** Reads `--auto-converge`, `--no-auto-converge`, `--throttle-*` and `--dirty-limit`. */
function throttleOf(given: Given): Pick<RamChoices, "autoConverge" | "dirtyLimitMib"> {
  const [on, off] = [given.has("auto-converge"), given.has("no-auto-converge")];
  const limit = given.read("dirty-limit", mibOf, "a whole number of MiB a second, such as 50M");
  if (on && off) given.fail("--auto-converge and --no-auto-converge exclude each other");
  if (on && limit !== undefined) {
    given.fail("--auto-converge and --dirty-limit exclude each other: QEMU has one or the other");
  }
  const amounts = {
    ...amountOf(given, "initial"),
    ...amountOf(given, "increment"),
    ...amountOf(given, "max"),
  };
  const { initial = 0, max = 99 } = amounts;
  if (initial > max) given.fail(`--throttle-initial ${initial} is more than --throttle-max ${max}`);
  const isGiven = Object.keys(amounts).length > 0;
  if (isGiven && (off || limit !== undefined)) {
    given.fail(`--throttle-* does not go with --${off ? "no-auto-converge" : "dirty-limit"}`);
  }
  const when = on ? "start" : off ? "never" : "ladder";
  return {
    ...(on || off || isGiven ? { autoConverge: { when, ...amounts } } : {}),
    ...(limit === undefined ? {} : { dirtyLimitMib: limit }),
  };
}

function amountOf(given: Given, name: "initial" | "increment" | "max"): Partial<AutoConverge> {
  const percent = given.read(`throttle-${name}`, (text) => {
    const number = /^\d{1,2}$/.test(text) ? Number(text) : 0;
    return number >= 1 ? number : undefined;
  }, "percent from 1 to 99");
  return percent === undefined ? {} : { [name]: percent };
}

function mibOf(text: string): number | undefined {
  const mib = (parseSize(text) ?? 0) / (1024 * 1024);
  return Number.isInteger(mib) && mib >= 1 ? mib : undefined;
}
