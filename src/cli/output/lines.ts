import { printableAll } from "../../io/mod.ts";
import { withoutTicket } from "../endpoint/address.ts";
import type { Outcome, Side, VerifiedDisk } from "../../migrate/mod.ts";
import { copyLines } from "./copy_event.ts";
import type { CliEvent, RecoverVerdict } from "./events.ts";
import { formatSeconds, formatSize } from "../args/size.ts";
import { limitsWords } from "./limits_words.ts";
import { linkWords } from "./link_words.ts";
import { statusLines } from "./status_lines.ts";
import { compressed, percent, PHASES, throttled } from "./words.ts";

const WHERE: Readonly<Record<Exclude<Outcome, "migrated">, string>> = {
  failed: "the guest was not moved",
  cancelled: "cancelled, the guest was not moved",
  unknown: "OUTCOME UNKNOWN: do not start the guest anywhere before you know where it runs",
};

/** Where a guest is that has arrived, by QEMU's run state there. */
function arrived(guest: string | null): string {
  switch (guest) {
    case null:
    case "running":
      return "the guest runs at the destination";
    case "paused":
      return "the guest is at the destination, paused";
    case "suspended":
      return "the guest is at the destination, asleep (S3)";
    default:
      return `the guest is at the destination, in state "${guest}"`;
  }
}

/** Longest text of one member of an event, characters; a command that is cut would be another command. */
const LONGEST = 10_000;

/**
 * An event as one or more lines for people; `undefined` when it is worth none. Text of others in it
 * (the peer, QEMU, a journal) cannot add lines or move the cursor. Pure.
 */
export function lineOf(event: CliEvent, quiet: boolean): string | undefined {
  return textOf(printableAll(event, event.event === "plan" ? Infinity : LONGEST), quiet);
}

function textOf(event: CliEvent, quiet: boolean): string | undefined {
  switch (event.event) {
    case "listening":
      // Over standard input and output there is no address to report.
      return event.address === "stdio" ? undefined : listeningLines(event);
    case "warning":
      return `vmferry: warning: ${event.message}`;
    case "ladder":
      return `vmferry: ${event.message}`;
    case "result":
      return resultLine(event);
    case "copy":
      return copyLines(event, quiet);
    case "check":
      return checkLines(event);
    case "plan":
      return event.commands.map(({ side, command }) => `${side}: ${command}`).join("\n");
    case "status":
      return statusLines(event);
    case "silent":
      return `vmferry: ${event.runDir}: ${event.reason}`;
    case "limits":
      return `vmferry: ${limitsWords(event)}`;
    case "recover":
      return recoverLines(event);
    case "link":
      return `vmferry: ${linkWords(event)}`;
    case "carry":
      return quiet
        ? undefined
        : `vmferry: copying vmferry to ${event.host}: ${percent(event.sent, event.total)}`;
    case "end":
      if (event.error) return `vmferry: ${event.error.message}`;
      return quiet ? undefined : `vmferry: ${event.streams} streams, ${formatSize(event.bytes)}` +
        `${compressed(event)} in ${(event.totalMs / 1000).toFixed(1)} s`;
    case "stream":
      if (event.error) return `vmferry: ${event.channel}: ${event.error}`;
      return undefined;
    case "serving":
      return event.url;
    case "migration":
    case "host":
    case "session":
    case "traffic":
    case "guest":
      return undefined;
    case "waiting":
      return waitingLine(event);
    case "phase":
      return quiet ? undefined : `vmferry: ${PHASES[event.phase]}`;
    case "progress":
      return quiet ? undefined : progressLine(event);
  }
}

function listeningLines(
  { address, ticketFile, reusable, libvirt, launch, copy }: CliEvent & { event: "listening" },
): string {
  const where = withoutTicket(address);
  const line = `vmferry: listening on ${where}`;
  const [goodFor, command] = reusable
    ? ["valid as long as this runs", "forward --from NAME=unix:///PATH"]
    : [
      "single-use",
      libvirt
        ? "domain NAME"
        : copy
        ? "copy IMAGE..."
        : `migrate --qmp PATH${launch ? " --launch" : ""}`,
    ];
  if (ticketFile !== undefined) {
    return `${line}; the ticket is in ${ticketFile}, ${goodFor}. On the source:\n` +
      `  vmferry ${command} --ticket-file FILE`;
  }
  if (where === address) return line;
  return `${line}, with a ticket (${goodFor}). On the source:\n  vmferry ${command} ${address}`;
}

function waitingLine({ running, maxParallel }: CliEvent & { event: "waiting" }): string {
  const which = running.map(({ what, pid }) => `${what} (process ${pid})`).join(", ");
  return `vmferry: waiting until fewer than ${maxParallel} migrations run on this host ` +
    `(--max-parallel)${which === "" ? "" : `: ${which}`}`;
}

function progressLine(event: CliEvent & { event: "progress" }): string {
  const parts = event.disks.map((d) => `${d.name} ${percent(d.transferred, d.total)}`);
  if (event.ram) parts.push(`RAM ${formatSize(event.ram.remaining)} left${throttled(event.ram)}`);
  parts.push(`${formatSize(event.rate)}/s${compressed(event)}`);
  if (event.eta !== null) parts.push(`${formatSeconds(event.eta)} left`);
  return `vmferry: ${parts.join(", ")}`;
}

function resultLine(event: CliEvent & { event: "result" }): string {
  const { outcome, guest = null } = event;
  const where = `vmferry: ${outcome === "migrated" ? arrived(guest) : WHERE[outcome]}`;
  if (event.error) {
    const { side, message, problems = [message] } = event.error;
    const from = side === null ? "" : `${side}: `;
    return [
      ...problems.map((problem) => `vmferry: ${from}${problem}`),
      ...(event.check ? [] : [where]),
      ...event.next.map((step) => `vmferry: next: ${step}`),
    ].join("\n");
  }
  const figures = [
    `${formatSize(event.bytes)}${compressed(event)} in ${(event.totalMs / 1000).toFixed(1)} s`,
    event.skipped === undefined ? undefined : `${formatSize(event.skipped)} were there`,
    event.downtimeMs === null ? undefined : `downtime ${Math.round(event.downtimeMs)} ms`,
    event.pauseMs === null ? undefined : `guest paused for ${Math.round(event.pauseMs)} ms`,
  ];
  const line = `${where}: ${figures.filter((f) => f !== undefined).join(", ")}`;
  const verified = (event.verify ?? []).map(verifiedLine);
  return [line, ...verified, ...event.next.map((step) => `vmferry: next: ${step}`)].join("\n");
}

function verifiedLine({ disk, unproved, differed, rootHash }: VerifiedDisk): string {
  const again = differed > 0 ? `, ${differed} blocks were sent again` : "";
  const what = unproved > 0 ? `${unproved} blocks were not compared` : "the same at both ends";
  const hash = rootHash === null ? "" : `, root hash ${rootHash}`;
  return `vmferry: disk ${disk}: ${what}${again}${hash}`;
}

const VERDICTS: Readonly<Record<RecoverVerdict, readonly [plan: string, done: string]>> = {
  "nothing": ["no migration of this QEMU was cut off here", ""],
  "gone": [
    "this QEMU has nothing of it left, only files remain",
    "this QEMU had nothing of it left; its files were removed",
  ],
  "run-here": [
    "the guest belongs here: vmferry would undo the migration, and the guest would run as before",
    "the migration was undone; the guest is as it was before",
  ],
  "keep": [
    "the guest stays as it is; vmferry would undo the rest of the migration",
    "the rest of the migration was undone",
  ],
  "leave": [
    "the guest is at the destination: it would stay paused here, and vmferry would undo the rest",
    "the guest is at the destination; the rest was undone here. This QEMU can be ended",
  ],
  "discard": [
    "the guest was loaded here and never started: this QEMU would be ended",
    "the guest was loaded here and never started: this QEMU was ended",
  ],
  "ask": ["it is not known whether the other side runs the guest: nothing is done", ""],
};

function recoverLines(event: CliEvent & { event: "recover" }): string {
  const [plan, done] = VERDICTS[event.verdict];
  const qemu = event.qemu === null ? "" : `, QEMU says "${event.qemu}"`;
  const head = event.side === null ? [] : [
    `vmferry: ${event.side} of migration ${event.migration}, cut off in state "${event.state}"${qemu}`,
  ];
  const next = event.next.map((step) => `vmferry: next: ${step}`);
  return [...head, `vmferry: ${event.done ? done : plan}`, ...next].join("\n");
}

function checkLines(event: CliEvent & { event: "check" }): string {
  const disks = event.disks.map((d) =>
    `vmferry: disk ${d.name}: ${formatSize(d.sizeBytes)}, ${d.format}`
  );
  const warnings = event.warnings.map((w) => `vmferry: warning: ${w}`);
  const notes = event.notes.map((note) => `vmferry: note: ${note}`);
  const problems = event.problems.map((p) => `vmferry: ${p.side}: ${p.message}`);
  const { length } = problems;
  const what = ["nothing stands", "1 thing stands"][length] ?? `${length} things stand`;
  const verdict = `vmferry: ${lookedAt(event)}: ${what} in the way`;
  return [...disks, ...notes, ...warnings, ...problems, verdict].join("\n");
}

/** The ends that a check has looked at, with the role of each: what QEMU was started for. */
function lookedAt({ role, ends = [] }: CliEvent & { event: "check" }): string {
  const of = (side: Side) => {
    const end = ends.find((e) => e.side === side);
    return end && `QEMU ${end.qemuVersion ?? "of unknown version"}`;
  };
  const [source, destination] = [of("source"), of("destination")];
  if (source && destination) return `source ${source}, destination ${destination}`;
  const only = role === "source" ? ", alone (name a DESTINATION to check that end too)" : "";
  return `as a ${role}${of(role) ? `, ${of(role)}${only}` : ""}`;
}
