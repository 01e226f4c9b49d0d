/**
 * The help texts, made from the table of flags.
 *
 * @module
 */
import { TRANSPORTS } from "../../transport/mod.ts";
import type { CommandName } from "./flag.ts";
import { flagsOf } from "./flags.ts";
import { VERSION } from "../version.ts";

const WIDTH = 80;
const COLUMN = 28;

interface About {
  readonly usage: readonly string[];
  readonly text: string;
  readonly examples: readonly string[];
}

const ABOUT: Readonly<Record<CommandName, About>> = {
  receive: {
    usage: [
      "vmferry receive --qmp PATH (--listen ADDRESS | --stdio) [options]",
      "vmferry receive --launch (--listen ADDRESS | --stdio) [options]",
      "vmferry receive --libvirt (--listen ADDRESS | --stdio) [options]",
    ],
    text:
      "The destination. Waits for one guest and ends when it runs here (exit 0). The QEMU behind " +
      "--qmp was started with -incoming defer and with the same devices as the source's. With " +
      "--launch there is none yet: the source describes it, and vmferry starts it.",
    examples: [
      "vmferry receive --qmp /run/vm1.qmp --listen tcp://0.0.0.0:7450",
      "vmferry receive --qmp /run/vm1.qmp --listen tcp://0.0.0.0:7450 --ticket-file ticket",
      "vmferry receive --launch --listen tcp://0.0.0.0:7450",
    ],
  },
  migrate: {
    usage: ["vmferry migrate --qmp PATH [options] DESTINATION"],
    text: "The source. Moves the running guest, RAM and disks, to the vmferry that receives at " +
      "DESTINATION. The guest stays at the source until the destination runs it. With --launch " +
      "and an ssh:// DESTINATION nothing has to be there before: neither images nor QEMU's process.",
    examples: [
      "vmferry migrate --qmp /run/vm1.qmp --launch ssh://root@host2",
      "vmferry migrate --qmp /run/vm1.qmp --launch --dry-run --map /vm=/srv/vm ssh://root@host2",
      "vmferry migrate --qmp /run/vm1.qmp --launch --reuse vd0 ssh://root@host1",
      "vmferry migrate --qmp /run/vm1.qmp --launch --start ./up --stop ./down ssh://root@host2",
      "vmferry migrate --qmp /run/vm1.qmp vmferry://host2:7450/TICKET",
      "vmferry migrate --qmp /run/vm1.qmp --ticket-file ticket",
      "vmferry migrate --qmp /run/vm1.qmp --remote-qmp /run/vm1.qmp ssh://root@host2",
    ],
  },
  domain: {
    usage: ["vmferry domain NAME [options] DESTINATION [-- OPTIONS OF VIRSH MIGRATE]"],
    text:
      "Moves a running domain of libvirt, RAM and local disks, through one connection. vmferry " +
      "checks both hosts, creates the missing disk images at the destination, and has 'virsh " +
      "migrate' move the domain through the tunnel. With ssh:// that is all; for other " +
      "destinations start 'vmferry receive --libvirt --listen ADDRESS' there first.",
    examples: [
      "vmferry domain vm1 ssh://root@host2",
      "vmferry domain vm1 ssh://root@host2 -- --persistent --undefinesource",
      "vmferry domain vm1 --reuse vda --bandwidth 200M vmferry://host2:7450/TICKET",
    ],
  },
  forward: {
    usage: [
      "vmferry forward (--listen ADDRESS | --stdio) --to NAME=unix:///PATH ... [options]",
      "vmferry forward --from NAME=unix:///PATH ... [options] DESTINATION",
    ],
    text:
      "Named UNIX sockets through a tunnel, without any control of QEMU. The end that listens " +
      "names what may be reached, the end that connects names where to listen. Runs until SIGINT, " +
      "SIGTERM or SIGHUP, which let open streams end within 30 s; a second signal ends them at once.",
    examples: [
      "vmferry forward --listen tcp://127.0.0.1:7450 --to nbd=unix:///run/vm/nbd.sock",
      "vmferry forward --from nbd=unix:///run/vm/nbd.sock tcp://127.0.0.1:7450",
    ],
  },
  check: {
    usage: [
      "vmferry check --qmp PATH [options] [DESTINATION]",
      "vmferry check --qmp PATH --launch [options] DESTINATION",
      "vmferry check domain NAME [options] DESTINATION [-- OPTIONS OF VIRSH MIGRATE]",
    ],
    text:
      "Says what would stand in the way of a migration and changes nothing: of the QEMU behind " +
      "--qmp, and with DESTINATION of both ends; or of a domain of libvirt. Exit 0 when nothing " +
      "does, 3 when something does.",
    examples: [
      "vmferry check --qmp /run/vm1.qmp",
      "vmferry check --qmp /run/vm1.qmp --launch ssh://root@host2",
      "vmferry check domain vm1 ssh://root@host2",
    ],
  },
  status: {
    usage: ["vmferry status [--qmp PATH | --name NAME] [options]"],
    text:
      "How the migrations that run on this host are, on either end: all of them, or the one that " +
      "is chosen. Exit 3 when there is none.",
    examples: ["vmferry status", "vmferry status --json --name vm1"],
  },
  cancel: {
    usage: ["vmferry cancel [--qmp PATH | --name NAME] [options]"],
    text: "Ends a migration that runs on this host, on either end, and waits until everything is " +
      "undone. Exit 0 when it was cancelled, 3 when it is too late, 1 when it failed meanwhile by " +
      "itself, 4 when it has not ended in time.",
    examples: ["vmferry cancel", "vmferry cancel --qmp /run/vm1.qmp"],
  },
  set: {
    usage: [
      "vmferry set [--qmp PATH | --name NAME] [options] [bandwidth=SIZE] [max-downtime=MS]",
      "            [pause=when-copied] [timeout=SECONDS] [timeout-action=abort|pause]",
    ],
    text:
      "Changes the limits of a migration that runs on this host, at once, for disks and memory " +
      "together. bandwidth=none lifts the limit. pause=when-copied pauses the guest as soon as only " +
      "what it changes is left to copy; it runs again at the destination. timeout counts from now " +
      "on, none lifts it. Exit 3 when it is too late.",
    examples: [
      "vmferry set bandwidth=200M",
      "vmferry set --name vm1 max-downtime=1s bandwidth=none",
      "vmferry set timeout=600 timeout-action=pause",
    ],
  },
  recover: {
    usage: ["vmferry recover --qmp PATH [--yes] [options] [DESTINATION]"],
    text:
      "Finishes a migration after vmferry was killed or exited with 4. It reads the journal, asks " +
      "QEMU, prints the state and the next step, and with --yes takes that step. With DESTINATION " +
      "a source asks there who runs the guest. It never starts a guest that may run at the other " +
      "end: it then exits with 4 and prints how to find out.",
    examples: [
      "vmferry recover --qmp /run/vm1.qmp",
      "vmferry recover --qmp /run/vm1.qmp --yes",
    ],
  },
};

const SUMMARY: readonly (readonly [string, string])[] = [
  ["receive", "the destination: wait for a guest"],
  ["migrate", "the source: carry a running guest, memory and disks, to a receive"],
  ["domain", "the source: move a running domain of libvirt"],
  ["forward", "named UNIX sockets through a tunnel, no control of QEMU"],
  ["check", "what would stand in the way of a migration; changes nothing"],
  ["status", "how the migrations on this host are"],
  ["cancel", "end a running migration and wait until all is undone"],
  ["set", "change the limits of a running migration"],
  ["recover", "look after a migration whose vmferry was killed"],
];

const EXIT_CODES = `Exit codes:
  0  done
  1  failed; the guest still runs at the source
  2  wrong usage
  3  refused by a check; nothing was touched
  4  outcome unknown: do not start the guest anywhere before you know where it runs
  5  cancelled; the guest still runs at the source`;

/** The help on one command, or on all of them. */
export function helpText(topic: CommandName | undefined): string {
  return topic === undefined ? overview() : helpOn(topic);
}

function overview(): string {
  return [
    `vmferry ${VERSION}: moves a running QEMU virtual machine, memory and local disks, to another`,
    "host through one connection.",
    "",
    "Usage:",
    ...SUMMARY.flatMap(([command]) => ABOUT[command as CommandName].usage.map((u) => `  ${u}`)),
    "  vmferry --version | --help",
    "",
    "Commands:",
    ...SUMMARY.map(([command, what]) => entry(`  ${command}`, what)),
    "",
    "Addresses, as ADDRESS or DESTINATION; an IPv6 address stands in brackets:",
    ...TRANSPORTS.map(({ form, about }) => entry(`  ${form}`, about)),
    "",
    "Each command has its own --help.",
    "",
    EXIT_CODES,
  ].join("\n");
}

function helpOn(command: CommandName): string {
  const { usage, text, examples } = ABOUT[command];
  const flags = flagsOf(command).map(({ name, value, help }) =>
    entry(`  --${name}${value ? ` ${value}` : ""}`, help)
  );
  return [
    "Usage:",
    ...usage.map((line) => `  ${line}`),
    "",
    wrap(text, WIDTH).join("\n"),
    "",
    "Options:",
    ...flags,
    entry("  --help", "This text."),
    "",
    examples.length > 1 ? "Examples:" : "Example:",
    ...examples.map((line) => `  ${line}`),
    "",
    EXIT_CODES,
  ].join("\n");
}

function entry(left: string, right: string): string {
  const [first = "", ...rest] = wrap(right, WIDTH - COLUMN);
  const lines = rest.map((line) => " ".repeat(COLUMN) + line);
  if (left.length < COLUMN) return [left.padEnd(COLUMN) + first, ...lines].join("\n");
  return [left, " ".repeat(COLUMN) + first, ...lines].join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
