/**
 * What a report says, as plain HTML: a reader without JavaScript has these tables and no charts. Pure.
 *
 * @module
 */
import { formatSeconds, formatSize } from "../args/size.ts";
import type { CopyEvent } from "../output/events.ts";
import { details, percent, PHASES, throttled } from "../output/words.ts";
import type { ReportData, Span } from "./data.ts";
import { type Html, markup, table } from "./html.ts";

const UNKNOWN = "unknown";
/** From here a result is one of many seconds; below, milliseconds matter. */
const SHORT_MS = 10_000;

/** Everything but the summary and the charts. */
export function tables(data: ReportData): Html {
  const before = markup`${events(data)}${phases(data)}${disks(data)}${ram(data)}${cuts(data)}`;
  return markup`${before}${pauses(data)}${verified(data)}${images(data)}${ends(data)}`;
}

/** What the page is about, in one line. */
export function titleOf({ guest, role, result, disks }: ReportData): string {
  if (result?.event === "copy") return `Copy of images, seen by the ${role}`;
  const of = guest.name ?? guest.uuid;
  const what = of === null ? "Migration" : `Migration of guest ${of}`;
  return disks.length === 0 && of === null ? `${what}, ${role}` : `${what}, seen by the ${role}`;
}

/** How it ended, in one sentence. */
export function outcomeOf({ result, role, phases }: ReportData): string {
  if (!result) {
    const phase = phases.at(-1)?.phase;
    return phase === undefined
      ? role === "destination" ? "No source has come yet." : "It has not begun yet."
      : `It was running when this page was written: ${PHASES[phase]}.`;
  }
  switch (result.outcome) {
    case "migrated":
      return `The guest is at the destination${result.guest ? `, ${result.guest}` : ""}.`;
    case "copied":
      return "The images are at the destination.";
    case "cancelled":
      return result.event === "copy" ? "It was cancelled." : "Cancelled: the guest was not moved.";
    case "failed":
      return result.event === "copy" ? "The copy failed." : "Failed: the guest was not moved.";
    case "unknown":
      return "Outcome unknown: do not start the guest anywhere before you know where it runs.";
  }
}

/** How it ended, and its figures. */
export function summary(data: ReportData): Html {
  const { result, migration, address, guest, cuts, ram } = data;
  const lines: [string, string][] = [
    ["Began", data.startedAt],
    ["Ended", data.endedAt ?? "not yet"],
    ["Duration", duration(data.elapsedMs)],
  ];
  if (result?.event === "result") {
    const { pauseMs, downtimeMs } = result;
    // The source measures both.
    if (pauseMs !== null) lines.push(["Guest paused", duration(pauseMs)]);
    if (downtimeMs !== null) lines.push(["Downtime that QEMU reports", duration(downtimeMs)]);
    if (result.skipped !== undefined) {
      lines.push(["Not sent (--delta)", formatSize(result.skipped)]);
    }
  }
  if (result) lines.push(["Bytes on the wire", formatSize(result.bytes)]);
  const { compression } = result?.event === "result" ? result : {};
  if (compression !== undefined) {
    lines.push(["Compressed to", `${Math.round(compression * 100)} %`]);
  }
  lines.push(["Lost connections", String(cuts.length)]);
  if (ram) lines.push(["RAM", `${formatSize(ram.total)}, pass ${ram.iteration}${throttled(ram)}`]);
  if (guest.uuid) lines.push(["UUID of the guest", guest.uuid]);
  if (migration) lines.push(["Migration", migration]);
  if (address) lines.push(["Listened on", address]);
  const list = lines.map(([term, value]) =>
    markup`<div><dt>${term}</dt><dd>${value}</dd></div>
`
  );
  const head = markup`<p class="outcome ${result?.outcome ?? "running"}">${outcomeOf(data)}</p>
`;
  return markup`${head}${failure(result)}<dl>${list}</dl>
${next(result)}`;
}

function failure(result: ReportData["result"]): Html | undefined {
  if (!result?.error) return undefined;
  const { code, side, message } = result.error;
  const where = side ? ` (${side})` : "";
  return markup`<p class="error"><strong>${code}</strong>${where}: ${message}</p>
`;
}

function next(result: ReportData["result"]): Html | undefined {
  if (!result || result.next.length === 0) return undefined;
  return markup`<h2>What to do now</h2>
<ul>${result.next.map((step) => markup`<li>${step}</li>`)}</ul>
`;
}

function events({ events, leftOut }: ReportData): Html {
  const rows = events.map(({ atMs, kind, code, message }) => [time(atMs), kind, code, message]);
  const note = leftOut > 0
    ? markup`<p>${leftOut} entries in the middle of the lists of this page are left out.</p>`
    : undefined;
  return markup`${table("Events", ["At", "Kind", "Code", "Message"], rows)}${note}`;
}

function phases({ phases, elapsedMs }: ReportData): Html {
  return table(
    "Phases",
    ["Phase", "", "Began", "Took"],
    phases.map((
      span,
    ) => [span.phase, PHASES[span.phase], time(span.fromMs), took(span, elapsedMs)]),
  );
}

function disks({ disks }: ReportData): Html {
  return table(
    "Disks",
    ["Disk", "Size", "Sent", "Share", "Notes"],
    disks.map((disk) => [
      disk.name,
      disk.sizeBytes === undefined ? "" : formatSize(disk.sizeBytes),
      formatSize(disk.transferred),
      percent(disk.transferred, disk.total),
      `${disk.ready ? "ready" : "not ready"}${details(disk)}`,
    ]),
  );
}

function ram({ passes }: ReportData): Html {
  return table(
    "Passes over RAM",
    ["Pass", "Began", "Sent before", "Guest changed"],
    passes.map(({ pass, atMs, sentBytes, dirtyRate }) => [
      ...[pass, time(atMs), formatSize(sentBytes), `${formatSize(dirtyRate)}/s`],
    ]),
  );
}

function cuts({ cuts, elapsedMs }: ReportData): Html {
  return table(
    "Lost connections",
    ["Lost at", "For", "Attempts"],
    cuts.map((cut) => [time(cut.fromMs), took(cut, elapsedMs), cut.attempts]),
  );
}

function pauses({ pauses, elapsedMs }: ReportData): Html {
  return table(
    "The guest was paused",
    ["At", "For"],
    pauses.map((pause) => [time(pause.fromMs), took(pause, elapsedMs)]),
  );
}

function verified({ result }: ReportData): Html {
  const disks = result?.event === "result" ? result.verify ?? [] : [];
  return table(
    "Comparison of both ends' disks",
    ["Disk", "Compared", "Differed", "Not proved", "Root hash"],
    disks.map(({ disk, bytes, differed, unproved, rootHash }) => [
      ...[disk, formatSize(bytes), differed, unproved, rootHash ?? "none"],
    ]),
  );
}

function images({ result }: ReportData): Html {
  const images: CopyEvent["images"] = result?.event === "copy" ? result.images : [];
  return table(
    "Images",
    ["Source", "Destination", "Size", "Data"],
    images.map(({ path, to, sizeBytes, dataBytes }) => [
      path,
      to,
      sizeBytes === undefined ? "" : formatSize(sizeBytes),
      dataBytes === undefined ? "" : formatSize(dataBytes),
    ]),
  );
}

function ends({ ends }: ReportData): Html {
  const versions = table(
    "Hosts",
    ["Side", "Host", "vmferry", "QEMU", "Command"],
    ends.map(({ side, host, vmferry, qemu, command }) => [
      ...[side, host ?? UNKNOWN, vmferry ?? UNKNOWN, qemu ?? UNKNOWN, command ?? UNKNOWN],
    ]),
  );
  const rows = ends.flatMap(({ side, settings }) =>
    settings.map(({ name, value }) => [side, name, value])
  );
  return markup`${versions}${
    table("Settings that were given", ["Side", "Setting", "Value"], rows)
  }`;
}

function took({ fromMs, toMs }: Span, elapsedMs: number): string {
  return toMs === null ? `${duration(elapsedMs - fromMs)} so far` : duration(toMs - fromMs);
}

function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < SHORT_MS ? `${(ms / 1000).toFixed(2)} s` : formatSeconds(ms / 1000);
}

/** A moment of the run: `1:02:03.4`. */
function time(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const tenths = Math.floor(ms % 1000 / 100);
  const rest = `${two(seconds % 60)}.${tenths}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}
