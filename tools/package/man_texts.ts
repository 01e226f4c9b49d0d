/**
 * What a manual page says beside the tables of commands and flags: details, what each example does, files,
 * and the pages to read on.
 *
 * @module
 */
import type { ExitCode } from "../../src/cli/output/exit_code.ts";
import type { CommandName } from "../../src/cli/help/flag.ts";

/** A term and what it is. */
export type Entry = readonly [string, string];

/** The texts of one page. */
export interface ManText {
  /** A paragraph each. A text between single quotes is a command. */
  readonly details: readonly string[];
  /** What each example of the command's table does, in its order. */
  readonly examples: readonly string[];
  readonly files: readonly (keyof typeof FILES)[];
  /** The command's own meaning of an exit code, where it is not the general one. */
  readonly exits?: Readonly<Partial<Record<ExitCode, string>>>;
  /** Exit codes that it never has. */
  readonly never?: readonly ExitCode[];
  readonly also: readonly CommandName[];
}

/** Files and directories, by a short name. */
export const FILES = {
  run: [
    "/run/vmferry",
    "Directory of each run of root: the sockets that QEMU connects to, and the journal from which a " +
    "killed migration is resumed. Another user's runs are in $XDG_RUNTIME_DIR/vmferry, or in " +
    "/tmp/vmferry-run-UID where that is not set. Removed when the last run has ended.",
  ],
  cache: [
    "~/.cache/vmferry",
    "What the program unpacks at its first start, and copies of it that a source has sent to this host " +
    "by ssh. It can be removed while no migration runs.",
  ],
  state: [
    "/var/lib/vmferry/NAME",
    "What a launch leaves at the destination: start.sh starts the guest again without a migration. Of " +
    "another user: ~/.local/state/vmferry/NAME.",
  ],
  receiveUnit: [
    "/etc/vmferry/NAME.conf",
    "Arguments of the systemd unit vmferry-receive@NAME.service, as VMFERRY_ARGS=.",
  ],
  forwardUnit: [
    "/etc/vmferry/NAME.conf",
    "Arguments of the systemd unit vmferry-forward@NAME.service, as VMFERRY_ARGS=.",
  ],
} as const satisfies Record<string, Entry>;

/** What every migration has in common. */
const GUEST_STAYS =
  "Until the guest runs at the destination it keeps running at the source. If the connection is lost, " +
  "vmferry reconnects and continues. If the migration fails, vmferry undoes its changes on both hosts, " +
  "names the reason, and says what to do next.";

const RUNNING =
  "If several migrations run on this host, --qmp PATH selects the one of that socket and --name NAME the " +
  "one whose guest has that name or UUID. A migration that was started with --run-dir DIR is found with " +
  "the same --run-dir DIR only. Only the user who started a migration can reach it.";

/** The texts by command. */
export const TEXTS: Readonly<Record<CommandName, ManText>> = {
  receive: {
    details: [
      "vmferry asks the source for a credential before it takes anything from it. On tcp:// it encrypts " +
      "the connection and prints a ticket, which the source needs and which is valid once. With " +
      "--ticket-file it writes the ticket to a file instead.",
      GUEST_STAYS,
      "SIGINT, SIGTERM and SIGHUP cancel the migration: both ends undo everything. Once the guest is " +
      "being handed over it is too late for that, and the migration ends by itself.",
      "After a failure once RAM had begun to cross, the destination's QEMU has to be started again: QEMU " +
      "accepts one incoming migration.",
    ],
    examples: [
      "Wait for a guest and print the ticket for the source:",
      "The same, with the ticket in a file that only you can read:",
      "Wait for a guest whose QEMU the source describes:",
    ],
    files: ["run", "cache", "state", "receiveUnit"],
    also: ["migrate", "check", "status", "cancel", "recover"],
  },
  migrate: {
    details: [
      "QEMU 6.2 or newer runs on both hosts, with a QMP socket for vmferry alone, such as " +
      "'-qmp unix:/run/vm1.qmp,server=on,wait=off'. The destination's QEMU has the same machine type, the " +
      "same devices with the same ids and disks of the same size, and was started with '-incoming defer'. " +
      "With --launch vmferry creates the disks and starts that QEMU itself.",
      GUEST_STAYS,
      "DESTINATION may be '-': the address with its ticket is then read from standard input, where other " +
      "users of this host cannot see it. With ssh:// the arguments after -- are passed to the vmferry that " +
      "ssh starts on the other host.",
      "SIGINT, SIGTERM and SIGHUP cancel the migration: both ends undo everything. Once the guest is being " +
      "handed over it is too late for that.",
      "Afterwards the source's QEMU is paused. Do not resume its guest. --quit-source ends that QEMU.",
    ],
    examples: [
      "Build the destination and move the guest there:",
      "Show what would be created on a host with another directory, and change nothing:",
      "Move a guest back to a host that has an old copy of its disk vd0:",
      "Have commands of the destination's site start and stop QEMU there:",
      "Move the guest to a 'vmferry receive' that has printed this ticket:",
      "The same with the ticket in a file:",
      "Move the guest to a QEMU that waits on the other host:",
    ],
    files: ["run", "cache"],
    also: ["receive", "check", "status", "set", "cancel", "recover"],
  },
  domain: {
    details: [
      GUEST_STAYS,
      "The options after -- are virsh's, such as --persistent and --undefinesource. vmferry decides by " +
      "itself about those that concern the connection, and refuses them here.",
    ],
    examples: [
      "Move the domain vm1:",
      "Define it at the destination, and undefine it here:",
      "Overwrite an old copy of the disk vda, with at most 200 MiB a second, to a 'vmferry receive " +
      "--libvirt':",
    ],
    files: ["run", "cache"],
    also: ["receive", "check", "status", "cancel"],
  },
  copy: {
    details: [
      "The destination gets each image under the same path, or under another one with --map. vmferry " +
      "refuses a path that exists, unless --reuse names it.",
      "If the connection is lost, vmferry reconnects and continues. An image that has not arrived as a " +
      "whole has no name yet at the destination; --resume continues it.",
    ],
    examples: [
      "Copy two images to the same paths on the other host:",
      "Copy an image to another directory, to a 'vmferry receive --copy' that has printed this ticket:",
      "Continue a copy that was cut off:",
    ],
    files: ["run", "cache"],
    exits: {
      0: "all images have arrived",
      1: "failed; --resume can continue the copy",
      5: "cancelled",
    },
    never: [4],
    also: ["receive", "migrate"],
  },
  forward: {
    details: [
      "A tool that drives QEMU itself, or an NBD client, connects to a socket on one host and reaches the " +
      "socket of that name on the other. All connections share the one tunnel. If the connection between " +
      "the hosts is lost, both ends reconnect and every stream continues.",
    ],
    examples: [
      "Offer the socket of an NBD server under the name nbd:",
      "Reach it on the other host under the same path:",
    ],
    files: ["run", "cache", "forwardUnit"],
    exits: {
      0: "ended as it was asked to, with every stream at its end",
      1: "failed",
      5: "cancelled",
    },
    never: [4],
    also: ["receive", "migrate"],
  },
  check: {
    details: [
      "A QEMU that waits for a guest is looked at as a destination, any other one as a source; the last " +
      "line says which. With DESTINATION both machines are compared, too: devices, CPU features, RAM and " +
      "disks. Each difference that prevents the migration is named with its rule in brackets, which " +
      "--allow accepts.",
    ],
    examples: [
      "Look at one QEMU:",
      "Look at both hosts before a launch:",
      "Look at a domain of libvirt and at the host that it is to move to:",
    ],
    files: ["run", "cache"],
    exits: {
      0: "nothing prevents the migration",
      1: "failed",
      3: "something prevents the migration",
    },
    never: [4, 5],
    also: ["migrate", "receive", "domain"],
  },
  status: {
    details: [RUNNING],
    examples: ["Show every migration of this user:", "Show one of them as JSON:"],
    files: ["run"],
    exits: { 0: "printed", 1: "failed", 3: "no such migration runs" },
    never: [4, 5],
    also: ["set", "cancel", "migrate"],
  },
  cancel: {
    details: [
      RUNNING,
      "Without a choice, and with several migrations, it lists them and does nothing. The next try works " +
      "at once, unless RAM had begun to cross: then start the destination's QEMU again.",
    ],
    examples: ["Cancel the only migration:", "Cancel the one of this QMP socket:"],
    files: ["run"],
    exits: {
      0: "cancelled, and everything is undone",
      1: "the migration failed meanwhile by itself; the guest is at the source",
      2: "wrong usage, or several migrations and no choice",
      3: "no such migration runs, or it is too late",
      4: "not ended within --timeout, or the outcome is unknown",
    },
    never: [5],
    also: ["status", "set", "recover"],
  },
  set: {
    details: [
      RUNNING,
      "postcopy=now starts post-copy in a migration that allows it; postcopy=never rules it out.",
    ],
    examples: [
      "At most 200 MiB a second from now on:",
      "Let the guest be paused for one second at the switchover, and lift the limit of the rate:",
      "Pause the guest in 600 seconds for what is left to copy:",
      "Slow the guest down now:",
    ],
    files: ["run"],
    exits: {
      0: "the limits hold",
      1: "QEMU rejected them, or no answer came",
      2: "wrong usage, or several migrations and no choice",
      3: "no such migration runs, or it is too late",
    },
    never: [4, 5],
    also: ["status", "cancel", "migrate"],
  },
  recover: {
    details: [
      "Run it on both hosts, the source first, without --yes: it changes nothing then. With exit code 4, " +
      "look whether the guest runs at the destination. If it runs there, end the source's QEMU. If it does " +
      "not, end the destination's QEMU, and run recover with --force-run-here at the source.",
    ],
    examples: ["Show the state and what recover would do:", "Do it:"],
    files: ["run"],
    exits: { 0: "nothing is left to do, or it was done", 1: "failed" },
    never: [5],
    also: ["migrate", "receive", "status"],
  },
};
