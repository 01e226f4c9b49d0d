/**
 * The commands as data: usage, text, examples, operands and exit codes. The help texts, the manual pages
 * and the shells' completions are made from this table and the table of flags.
 *
 * @module
 */
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { CommandName } from "./flag.ts";

/** What may stand on the command line beside flags, for completions. */
export type Operand =
  /** Where to connect to. */
  | "address"
  /** Paths of files. */
  | "files"
  /** Nothing that a shell can know, such as the name of a domain. */
  | "name"
  /** One of these words, which end with `=` where a value follows. */
  | readonly string[];

/** A command, for its reader. */
export interface About {
  /** A line for each way to call it. */
  readonly usage: readonly string[];
  readonly text: string;
  readonly examples: readonly string[];
  /** Absent where the command takes flags only. */
  readonly operand?: Operand;
}

/** Every command. */
export const ABOUT: Readonly<Record<CommandName, About>> = {
  receive: {
    usage: [
      "vmferry receive --qmp PATH (--listen ADDRESS | --stdio) [options]",
      "vmferry receive --launch (--listen ADDRESS | --stdio) [options]",
      "vmferry receive --copy (--listen ADDRESS | --stdio) [options]",
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
    operand: "address",
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
    operand: "name",
  },
  copy: {
    usage: ["vmferry copy IMAGE... [options] DESTINATION"],
    text:
      "Copies images of a guest that is shut off: raw, qcow2 or a block device. Each arrives with the same " +
      "format and virtual size, and gets its name once it is whole; its unused blocks stay unused. vmferry " +
      "refuses an image that a guest uses. With ssh:// that is all; for other destinations start " +
      "'vmferry receive --copy --listen ADDRESS' there first.",
    examples: [
      "vmferry copy /vm/root.qcow2 /vm/data.img ssh://root@host2",
      "vmferry copy /vm/root.qcow2 --map /vm=/srv/vm vmferry://host2:7450/TICKET",
      "vmferry copy /vm/root.qcow2 --resume ssh://root@host2",
    ],
    operand: "files",
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
    operand: "address",
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
    operand: "address",
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
      "            [auto-converge=on|off] [postcopy=now|never]",
    ],
    text:
      "Changes the limits of a migration that runs on this host, at once, for disks and memory " +
      "together. bandwidth=none lifts the limit. pause=when-copied pauses the guest as soon as only " +
      "what it changes is left to copy; it runs again at the destination. timeout counts from now " +
      "on, none lifts it. auto-converge=on throttles the guest now, off ends that. Exit 3 when it is too late.",
    examples: [
      "vmferry set bandwidth=200M",
      "vmferry set --name vm1 max-downtime=1s bandwidth=none",
      "vmferry set timeout=600 timeout-action=pause",
      "vmferry set auto-converge=on",
    ],
    operand: [
      ...["bandwidth=", "max-downtime=", "pause=when-copied", "timeout="],
      ...["timeout-action=abort", "timeout-action=pause", "auto-converge=on", "auto-converge=off"],
      ...["postcopy=now", "postcopy=never"],
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
    operand: "address",
  },
};

/** Every command in the order of the help, with a few words about it. */
export const SUMMARY: readonly (readonly [CommandName, string])[] = [
  ["receive", "the destination: wait for a guest"],
  ["migrate", "the source: carry a running guest, memory and disks, to a receive"],
  ["domain", "the source: move a running domain of libvirt"],
  ["copy", "copy images of a guest that is shut off"],
  ["forward", "named UNIX sockets through a tunnel, no control of QEMU"],
  ["check", "what would stand in the way of a migration; changes nothing"],
  ["status", "how the migrations on this host are"],
  ["cancel", "end a running migration and wait until all is undone"],
  ["set", "change the limits of a running migration"],
  ["recover", "look after a migration whose vmferry was killed"],
];

/** What each exit code means. */
export const EXIT_CODES: readonly (readonly [ExitCode, string])[] = [
  [EXIT.done, "done"],
  [EXIT.failed, "failed; the guest still runs at the source"],
  [EXIT.usage, "wrong usage"],
  [EXIT.refused, "refused by a check; nothing was touched"],
  [
    EXIT.unknown,
    "outcome unknown: do not start the guest anywhere before you know where it runs",
  ],
  [EXIT.cancelled, "cancelled; the guest still runs at the source"],
];
