import { systemClock } from "../../io/mod.ts";
import type { MigrationError, Side } from "../../migrate/mod.ts";
import { formatSize } from "../args/size.ts";
import type { CopiedImageEvent, CopyEvent } from "./events.ts";

/** Errors after which a copy cannot be continued. */
const LEAVES_NOTHING: ReadonlySet<string> = new Set(["disk-full", "disk-differs", "image-changed"]);

/** How a copy ended. */
interface CopyEnd {
  readonly side: Side;
  readonly startedAt: number;
  readonly bytes: number;
  readonly images: readonly CopiedImageEvent[];
  readonly error?: MigrationError;
  /** Something was written. */
  readonly hasBegun?: boolean;
  /** Images of the destination that may be changed in part, and have lost their names. */
  readonly openBases?: readonly string[];
}

/** The last event of a copy. Times in ms of the system clock, sizes in bytes. */
export function copyEvent(end: CopyEnd): CopyEvent {
  const { side, bytes, images, error } = end;
  return {
    event: "copy",
    side,
    outcome: error ? error.kind === "cancelled" ? "cancelled" : "failed" : "copied",
    images,
    totalMs: Math.round(systemClock.now() - end.startedAt),
    bytes,
    error: error?.reported ?? null,
    next: nextOf(end),
  };
}

function nextOf({ error, hasBegun, openBases = [] }: CopyEnd): string[] {
  if (!error || error.kind === "refused") return [];
  if (openBases.length > 0) {
    return [
      `give the same command again: until it is done, what was ${openBases.join(", ")} at the ` +
      "destination may be changed in part, and may lie there as .NAME.vmferry-copy",
    ];
  }
  return hasBegun && !LEAVES_NOTHING.has(error.code)
    ? ["give the same command with --resume to continue where it was, or without to begin anew"]
    : [];
}

/** The event for people. */
export function copyLines(event: CopyEvent, quiet: boolean): string | undefined {
  const { outcome, error, images, next } = event;
  if (error) {
    const { side, message, problems = [message] } = error;
    const from = side === null ? "" : `${side}: `;
    return [
      ...problems.map((problem) => `vmferry: ${from}${problem}`),
      `vmferry: ${outcome === "cancelled" ? "cancelled, " : ""}no image was copied`,
      ...next.map((step) => `vmferry: next: ${step}`),
    ].join("\n");
  }
  if (quiet) return undefined;
  const lines = images.flatMap((image) => {
    const { path, to, allocatedBytes, skippedBytes, verify } = image;
    const room = allocatedBytes === null ? "" : `, ${formatSize(allocatedBytes)} there`;
    const old = skippedBytes === undefined
      ? ""
      : `, ${formatSize(skippedBytes)} not sent: they were there`;
    const line = `vmferry: ${path === undefined ? to : `${path} is copied to ${to}`}${room}${old}`;
    if (!verify) return [line];
    const again = verify.differed > 0 ? `, ${verify.differed} blocks were sent again` : "";
    return [line, `vmferry: ${to}: the same at both ends${again}, root hash ${verify.rootHash}`];
  });
  const seconds = (event.totalMs / 1000).toFixed(1);
  return [...lines, `vmferry: ${formatSize(event.bytes)} in ${seconds} s`].join("\n");
}
