/**
 * Every flag of every command in one table: what it takes, where it goes, what the help says.
 *
 * @module
 */

import { ALLOWABLE } from "../../migrate/mod.ts";
import { type TransportFlag, TRANSPORTS } from "../../transport/mod.ts";
import { type CommandName, COMMANDS, type Flag } from "./flag.ts";

/** Those with a tunnel of their own. */
const TUNNEL: readonly CommandName[] = [
  ...["receive", "migrate", "domain", "copy", "forward", "check", "recover"] as const,
];
/** Those that speak to a migration that is running. */
const CONTROL: readonly CommandName[] = ["status", "cancel", "set"];
const LISTENING: readonly CommandName[] = ["receive", "forward"];

/** Those that can listen and connect by any transport, by the end that they are. */
const BY_END: Readonly<Record<TransportFlag["end"], readonly CommandName[]>> = {
  both: TUNNEL,
  listening: LISTENING,
  connecting: ["migrate", "domain", "copy", "forward", "check"],
};

/** A flag of a transport, for the commands that can use it. */
function transportFlag({ name, value, many = false, end, help }: TransportFlag): Flag {
  return { name, value, many, commands: BY_END[end], help };
}

export const FLAGS: readonly Flag[] = [
  {
    name: "qmp",
    value: "PATH",
    commands: ["receive", "migrate", "check", "recover"],
    help: "UNIX socket of the QEMU's QMP monitor. One client at a time can use it.",
  },
  {
    name: "qmp",
    value: "PATH",
    commands: CONTROL,
    help: "The migration that was started with this QMP socket.",
  },
  {
    name: "name",
    value: "NAME",
    commands: CONTROL,
    help:
      "The migration of the guest with this name or UUID, or the copy of the image at this path.",
  },
  {
    name: "listen",
    value: "ADDRESS",
    commands: LISTENING,
    help:
      "Where to wait for the other end: tcp://HOST:PORT (port 0: a free one) or unix:///PATH. " +
      "receive on tcp:// encrypts and prints a ticket, unless --secret-file or --insecure is given; " +
      "vmferry://HOST:PORT does the same everywhere.",
  },
  {
    name: "stdio",
    commands: LISTENING,
    help: "Speak over standard input and output instead of listening.",
  },
  {
    name: "launch",
    commands: ["migrate", "check"],
    help:
      "Build the destination, too: create its disk images, copy firmware and media, and start its " +
      "QEMU like this one. Everything that prevents it is reported before anything is created; a " +
      "failure removes what was created.",
  },
  {
    name: "launch",
    commands: ["receive"],
    help: "Create images and start QEMU as the source asks, in place of --qmp. The source gives " +
      "--launch, too. It decides which QEMU runs here: see --launch-any.",
  },
  {
    name: "copy",
    commands: ["receive"],
    help:
      "Take images of a guest that is shut off, from 'vmferry copy', instead of a guest for --qmp.",
  },
  {
    name: "launch-any",
    commands: ["receive"],
    help: "With --launch: start whatever the source asks for. Without it a source that is not at " +
      "the other end of --stdio gets only a qemu-system-* from PATH, without options that run " +
      "programs.",
  },
  {
    name: "dry-run",
    commands: ["migrate"],
    help: "With --launch: print the plan as commands and change nothing. Exit 0 when nothing " +
      "prevents it, else 3.",
  },
  {
    name: "map",
    value: "OLD=NEW",
    many: true,
    commands: ["migrate", "check"],
    help: "With --launch: the source's directory or file OLD is NEW at the destination; absolute " +
      "paths. The longest OLD counts. Also for sockets, logs and firmware. Repeatable. Default: " +
      "the same paths.",
  },
  {
    name: "map",
    value: "OLD=NEW",
    many: true,
    commands: ["copy"],
    help:
      "The source's directory or file OLD is NEW at the destination; absolute paths. The longest " +
      "OLD counts. Repeatable. Default: the same paths.",
  },
  {
    name: "format",
    value: "FORMAT",
    values: ["raw", "qcow2"],
    commands: ["copy"],
    help:
      "Format of the images: raw or qcow2. Give raw where a guest that you do not trust has written " +
      "to a raw image. Default: what each looks like.",
  },
  {
    name: "sync",
    value: "WHAT",
    values: ["full", "top"],
    commands: ["migrate", "check"],
    help:
      "full (each disk crosses with everything), or top (only its uppermost image crosses, and the " +
      "destination's image has the same backing file: the same name and size). Default: full.",
  },
  {
    name: "verify-base",
    commands: ["migrate", "check"],
    help:
      "With --sync top: compare the contents of the backing files of both ends, too. A launch " +
      "always does.",
  },
  {
    name: "delta",
    commands: ["migrate", "domain", "check"],
    help:
      "Do not send what the destination's disks hold already, as on the way back: both ends compare " +
      "hashes of blocks of 64 KiB. An old copy also needs --reuse NAME.",
  },
  {
    name: "verify",
    commands: ["migrate", "check"],
    help:
      "Compare every block of each disk at both ends before the guest moves. What differs is sent " +
      "again once; the migration fails if it still differs.",
  },
  {
    name: "delta",
    commands: ["copy"],
    help:
      "Do not send what the destination's image PATH of --reuse PATH holds already: both ends compare " +
      "hashes of blocks of 64 KiB. A file is changed in place: until the copy is whole it is called " +
      ".NAME.vmferry-copy.",
  },
  {
    name: "verify",
    commands: ["copy"],
    help:
      "Compare every block of each image at both ends before it gets its name. What differs is sent " +
      "again once; the copy fails if it still differs.",
  },
  {
    name: "persist",
    commands: ["migrate", "check"],
    help: "With --launch: systemd starts the guest at boot from then on, at the destination.",
  },
  {
    name: "qemu-command",
    value: "FILE",
    commands: ["migrate", "check"],
    help: "With --launch: the command line of the source's QEMU, as a shell would read it, in " +
      "place of the running one's.",
  },
  {
    name: "disk",
    value: "NAME",
    many: true,
    commands: ["receive", "migrate", "check"],
    help: "Take this disk only; may be repeated. Named by its qdev id, else its device name, " +
      "else its node name. At the destination (receive, check) also NAME=LOCAL where the two ends " +
      "name it differently; with --launch NAME=PATH, its image there. Default: every writable disk.",
  },
  {
    name: "allow",
    value: "RULE",
    values: ALLOWABLE,
    many: true,
    commands: ["migrate", "check"],
    help:
      "Go on although the two machines differ by this rule; may be repeated. The rule is the word " +
      "in brackets behind a difference that vmferry refuses, such as [device].",
  },
  {
    name: "shared",
    value: "NAME",
    many: true,
    commands: ["migrate", "domain", "check"],
    help: "Both ends share the storage of this disk: vmferry does not copy it, only RAM and the " +
      "other disks. Repeatable.",
  },
  {
    name: "reuse",
    value: "NAME",
    many: true,
    commands: ["migrate", "domain", "check"],
    help:
      "The destination has an old copy of this disk, which may be overwritten. Without it vmferry " +
      "refuses a destination disk with the contents of the source's, and with --launch every image " +
      "that exists. Repeatable.",
  },
  {
    name: "reuse",
    value: "PATH",
    many: true,
    commands: ["copy"],
    help:
      "The destination's file or block device PATH may be replaced; a file is replaced once the " +
      "new one is whole. Repeatable. Default: vmferry refuses to copy to a path that exists.",
  },
  {
    name: "bandwidth",
    value: "SIZE",
    commands: ["migrate", "domain", "copy"],
    help: "Bytes a second for disks and memory together, as 500M or 1.5G. Default: no limit.",
  },
  {
    name: "host-bandwidth",
    value: "SIZE",
    commands: ["migrate", "domain", "copy"],
    help:
      "Bytes a second for all migrations of this host that have this option, in equal shares that " +
      "follow as one begins or ends. The lowest value counts. Default: no limit.",
  },
  {
    name: "max-parallel",
    value: "N",
    commands: ["migrate", "domain", "copy"],
    help:
      "Wait until fewer than N other migrations run on this host, before anything is touched. " +
      "Those count that have this option or --host-bandwidth. Default: do not wait.",
  },
  {
    name: "max-wait",
    value: "SECONDS",
    commands: ["migrate", "domain", "copy"],
    help: "With --max-parallel: fail (exit 3) if that takes longer. --timeout begins only then. " +
      "Default: 0 (no limit).",
  },
  {
    name: "lock-dir",
    value: "DIR",
    commands: ["migrate", "domain", "copy"],
    help:
      "With --max-parallel or --host-bandwidth: where the migrations see each other; the last " +
      "one removes it. Default: parallel in the directory of --run-dir.",
  },
  {
    name: "max-downtime",
    value: "MS",
    commands: ["migrate", "domain"],
    help:
      "Longest downtime for RAM at the switchover; vmferry keeps it shorter where another pass " +
      "over RAM helps. Default: 300.",
  },
  {
    name: "multifd",
    value: "N",
    commands: ["migrate", "check"],
    help: "RAM crosses in N + 1 streams of the one connection (QEMU's multifd), N from 2 to 16. " +
      "Both ends need a vmferry and a QEMU that can do it. Default: one stream.",
  },
  {
    name: "multifd-compression",
    value: "METHOD",
    values: ["none", "zlib", "zstd"],
    commands: ["migrate", "check"],
    help: "With --multifd: QEMU compresses RAM with none, zlib or zstd. Default: none.",
  },
  {
    name: "xbzrle",
    commands: ["migrate", "check"],
    help:
      "For slow connections: the source's QEMU keeps a copy of RAM pages that it has sent, and " +
      "sends again only the bytes of a page that have changed (QEMU's xbzrle). Not with --multifd " +
      "or post-copy. See docs/busy-guests.md.",
  },
  {
    name: "xbzrle-cache",
    value: "SIZE",
    commands: ["migrate", "check"],
    help:
      "With --xbzrle: RAM for these copies, a power of two; it helps only where the pages that " +
      "the guest changes fit in. Default: 64M.",
  },
  {
    name: "postcopy",
    commands: ["migrate", "check"],
    help:
      "After RAM has crossed once the guest runs at the destination, and the rest of its RAM follows " +
      "(QEMU's post-copy). Until it has, the guest needs both hosts. See docs/busy-guests.md.",
  },
  {
    name: "postcopy-after",
    value: "SECONDS",
    commands: ["migrate", "check"],
    help: "The same after this long in the phase ram, if RAM has not crossed by then.",
  },
  {
    name: "allow-postcopy",
    commands: ["migrate", "check"],
    help: "The same only where nothing else ends the migration, or when it is asked for " +
      "(vmferry set postcopy=now). Default: never.",
  },
  {
    name: "timeout",
    value: "SECONDS",
    commands: ["receive", "migrate", "domain"],
    help:
      "migrate: undo and fail if the migration takes longer. receive: fail if no source connects " +
      "in time. Default: 0 (no limit).",
  },
  {
    name: "hook-before-switchover",
    value: "COMMAND",
    commands: ["receive", "migrate"],
    help:
      "Run this by sh once the disks are copied and before RAM crosses: the guest runs at the " +
      "source. If it fails, the migration fails and the guest stays there. Its environment has " +
      "VMFERRY_GUEST, _UUID, _ROLE, _PEER and _QMP.",
  },
  {
    name: "hook-after",
    value: "COMMAND",
    commands: ["receive", "migrate"],
    help: "Run this once at the end, whatever the outcome: VMFERRY_OUTCOME is done, failed, " +
      "cancelled or unknown, VMFERRY_ERROR the error code. Its failure is a warning.",
  },
  {
    name: "hook-timeout",
    value: "SECONDS",
    commands: ["receive", "migrate"],
    help: "How long each hook may take, and each of --start and --stop; then its processes are " +
      "killed. Default: 30.",
  },
  {
    name: "start",
    value: "COMMAND",
    commands: ["migrate", "check"],
    help:
      "With --launch over ssh: start the destination's QEMU by this command of sh there, in place " +
      "of the source's command line: for example 'systemctl start qemu-incoming@vm1'. It has to " +
      "wait for a migration (-incoming defer). Needs --stop.",
  },
  {
    name: "stop",
    value: "COMMAND",
    commands: ["migrate", "check"],
    help: "Stop by this command the QEMU that --start has started, if the guest did not move.",
  },
  {
    name: "start",
    value: "COMMAND",
    commands: ["receive"],
    help: "Start QEMU by this command of sh once a source has come, and not before: for example " +
      "'systemctl start qemu-incoming@vm1'. Needs --stop. With --launch in place of the source's " +
      "command line.",
  },
  {
    name: "stop",
    value: "COMMAND",
    commands: ["receive"],
    help: "Stop by this command the QEMU that --start has started, if the guest did not come.",
  },
  {
    name: "timeout-action",
    value: "ACTION",
    values: ["abort", "pause", "postcopy"],
    commands: ["check"],
    help: "What migrate is to do at --timeout: with postcopy, whether both ends can do that.",
  },
  {
    name: "timeout-action",
    value: "ACTION",
    values: ["abort", "pause", "postcopy"],
    commands: ["migrate"],
    help:
      "What to do at --timeout: abort (undo everything), or pause (pause the guest as soon as " +
      "only what it changes is left to copy; it runs again at the destination), or postcopy (as " +
      "with --postcopy, as soon as RAM crosses). Default: abort.",
  },
  {
    name: "timeout-action",
    value: "ACTION",
    values: ["abort", "pause"],
    commands: ["domain"],
    help:
      "What to do at --timeout: abort (undo everything), or pause (pause the guest as soon as " +
      "only what it changes is left to copy; it runs again at the destination). Default: abort.",
  },
  {
    name: "auto-converge",
    commands: ["migrate", "check"],
    help: "Have QEMU throttle the guest's CPUs from the first pass over RAM on. Default: vmferry " +
      "throttles them once the RAM does not converge.",
  },
  {
    name: "no-auto-converge",
    commands: ["migrate", "check"],
    help: "Never throttle the guest.",
  },
  {
    name: "throttle-initial",
    value: "PERCENT",
    commands: ["migrate", "check"],
    help:
      "The first throttle. Default: with --auto-converge 20, else as much as the rates ask for.",
  },
  {
    name: "throttle-increment",
    value: "PERCENT",
    commands: ["migrate", "check"],
    help: "Each further step of the throttle. Default: with --auto-converge 10, else half of the " +
      "CPU time that is left.",
  },
  {
    name: "throttle-max",
    value: "PERCENT",
    commands: ["migrate", "check"],
    help: "The largest throttle. Default: 99.",
  },
  {
    name: "dirty-limit",
    value: "RATE",
    commands: ["migrate", "check"],
    help: "Let no vCPU change more RAM than this a second, as 50M, while RAM crosses. Needs QEMU " +
      "8.1 and KVM with dirty-ring-size.",
  },
  {
    name: "copy-mode",
    value: "MODE",
    values: ["background", "write-blocking"],
    commands: ["migrate", "check"],
    help:
      "write-blocking: each write of the guest waits until the destination has it too, from the " +
      "start. background: vmferry does so only for a disk that falls behind. Default: background.",
  },
  {
    name: "quit-source",
    commands: ["migrate"],
    help: "End the source's QEMU when the guest runs at the destination. Default: leave it paused.",
  },
  {
    name: "resume",
    commands: ["receive", "migrate"],
    help:
      "Resume the migration of this QEMU whose vmferry was killed on this host: disks continue " +
      "where they were.",
  },
  {
    name: "resume",
    commands: ["copy"],
    help:
      "Continue with what a copy that was cut off has left at the destination, if the source's " +
      "image has not changed since. Default: from the start.",
  },
  {
    name: "yes",
    commands: ["recover"],
    help: "Do what it would do.",
  },
  {
    name: "force-run-here",
    commands: ["recover"],
    help: "Make the guest run here where it could run at the other end: only when you have made " +
      "sure that it does not and never will, by ending the QEMU there.",
  },
  {
    name: "run-dir",
    value: "DIR",
    commands: ["receive", "migrate", "domain", "copy", "check", "recover"],
    help:
      "Directory for the sockets that QEMU connects to. Default: /run/vmferry for root, for others " +
      "vmferry in $XDG_RUNTIME_DIR, or /tmp/vmferry-run-UID where that is not set.",
  },
  {
    name: "run-dir",
    value: "DIR",
    commands: CONTROL,
    help: "Where to look, if the migration was started with --run-dir DIR.",
  },
  {
    name: "timeout",
    value: "SECONDS",
    commands: ["cancel"],
    help: "How long to wait until it has ended. 0: as long as it takes. Default: 120.",
  },
  {
    name: "to",
    value: "NAME=unix:///PATH",
    many: true,
    commands: ["forward"],
    help: "With --listen: a socket here that the other end may reach by this name. Repeatable.",
  },
  {
    name: "from",
    value: "NAME=unix:///PATH",
    many: true,
    commands: ["forward"],
    help: "With DESTINATION: listen here and carry each connection to NAME there. Repeatable.",
  },
  {
    name: "once",
    commands: ["forward"],
    help: "End when the streams of a first round have ended. Default: run until told to stop.",
  },
  {
    name: "socket-owner",
    value: "USER[:GROUP]",
    commands: ["receive", "migrate", "check", "forward"],
    help: "The user that QEMU runs as, if not you; vmferry gives them its sockets. Needs root. " +
      "Default with --launch: the owner of the QMP socket.",
  },
  ...TRANSPORTS.flatMap(({ flags }) => flags.map(transportFlag)),
  {
    name: "remote-qmp",
    value: "PATH",
    commands: ["migrate", "check"],
    help: "With ssh://: the QMP socket of the destination's QEMU, on its host.",
  },
  {
    name: "libvirt",
    commands: ["receive"],
    help: "Take a domain of libvirt, from 'vmferry domain', instead of a guest for --qmp.",
  },
  {
    name: "connect",
    value: "URI",
    commands: ["receive", "domain", "check"],
    help: "This host's libvirt. Default: qemu:///system.",
  },
  {
    name: "remote-connect",
    value: "URI",
    commands: ["domain", "check"],
    help: "With ssh://: the destination's libvirt, on its host. Default: qemu:///system.",
  },
  {
    name: "ticket-file",
    value: "FILE",
    commands: TUNNEL,
    help: "receive: write the ticket to this file (mode 0600) instead of printing it. On the " +
      "source: read it there; with '-' as DESTINATION it is read from standard input.",
  },
  {
    name: "secret-file",
    value: "FILE",
    commands: TUNNEL,
    help: "File with the secret that both ends must know, 16 bytes or more, readable by you alone.",
  },
  {
    name: "insecure",
    commands: TUNNEL,
    help: "Allow plain tcp beyond this machine: anybody on the way can read and change everything.",
  },
  {
    name: "grace",
    value: "SECONDS",
    commands: ["receive", "migrate", "domain", "copy", "forward"],
    help: "How long the connection may be lost before vmferry gives up. Acknowledged bytes renew " +
      "it; the lower value of both ends counts. 0: not at all. Default: 60.",
  },
  {
    name: "dead-after",
    value: "SECONDS",
    commands: ["receive", "migrate", "domain", "copy", "forward"],
    help: "Replace the connection after this much silence or a stuck write. Default: 15.",
  },
  {
    name: "connect-timeout",
    value: "SECONDS",
    commands: ["migrate", "domain", "copy", "forward", "check", "recover"],
    help: "How long to wait for the other end to answer. Default: 10.",
  },
  {
    name: "in-flight",
    value: "SIZE",
    commands: ["receive", "migrate", "domain", "copy", "forward"],
    help:
      "Maximum unacknowledged bytes. Default: from the connection's rate and round trip, up to " +
      "64M.",
  },
  {
    name: "connections",
    value: "N",
    commands: ["migrate", "domain", "copy", "forward"],
    help:
      "Spread disks and multifd channels over N connections to the same address, from 1 to 16: for a " +
      "network that limits each one. Not with ssh://. Default: 1.",
  },
  {
    name: "compress",
    value: "auto|on|off",
    commands: ["receive", "migrate", "domain", "copy", "forward"],
    help:
      "Compress with zstd what this end sends. auto: only bytes that would have to wait for the " +
      "connection. off: this end accepts nothing compressed either. Default: auto.",
  },
  {
    name: "watch",
    commands: ["status"],
    help: "Show it again every second until Ctrl-C; on a terminal in place.",
  },
  {
    name: "serve",
    value: "HOST:PORT",
    commands: ["status"],
    help: "Show it to a browser on this host, live, until Ctrl-C: as --report does. The printed " +
      "address holds a token, without which nobody sees anything. Port 0: a free one.",
  },
  {
    name: "insecure",
    commands: ["status"],
    help: "With --serve: allow an address that other hosts can reach. Nothing is encrypted.",
  },
  {
    name: "json",
    commands: COMMANDS,
    help: "Print one JSON object a line on standard output, for programs.",
  },
  {
    name: "log-format",
    value: "text|json|journald",
    commands: COMMANDS,
    help:
      "How lines on standard error look. json: one object a line; journald: with a priority for " +
      "systemd. Both name the migration, the same on both hosts. Default: text.",
  },
  {
    name: "metrics",
    value: "FILE.prom",
    commands: ["receive", "migrate", "domain"],
    help: "Keep metrics of the migration in this file, for node_exporter's textfile collector.",
  },
  {
    name: "report",
    value: "FILE.html",
    commands: ["receive", "migrate", "domain", "copy"],
    help: "Write a page about the migration into this file: disks, RAM, rates, round trip, lost " +
      "connections, pauses, warnings. For any browser, without a network. It is written when the " +
      "migration fails, too.",
  },
  { name: "quiet", commands: COMMANDS, help: "Print no progress, only warnings and the end." },
  { name: "verbose", commands: COMMANDS, help: "Print debug messages." },
];

/** The flags of one command. */
export function flagsOf(command: CommandName): readonly Flag[] {
  return FLAGS.filter((flag) => flag.commands.includes(command));
}
