/**
 * Every error code that `--json` prints: which kind of end it is, on which side the cause lies, what it
 * means and what to do next. docs/errors.md is this table (`tools/docs/errors.ts`).
 *
 * A code is a contract with scripts. To rename one, keep the old name for one release and say so in
 * docs/operations.md.
 *
 * @module
 */

/**
 * What a failure means for the guest: `refused`, nothing was touched; `failed` and `cancelled`, it
 * still runs at the source; `unknown`, vmferry cannot find out which side runs it.
 */
export type FailureKind = "refused" | "failed" | "cancelled" | "unknown";

/**
 * What can follow: `retry`, another `migrate` once the cause is removed; `resume`, the same migration
 * with `--resume`; `recover`, nothing before it is known which side runs the guest.
 */
export type Next = "retry" | "resume" | "recover";

/** What is known of a code. */
export interface ErrorRow {
  /**
   * The kinds that it comes with. What is `refused` while vmferry prepares is `failed` when vmferry
   * finds it later: the copy has begun by then.
   */
  readonly kinds: readonly [FailureKind, ...FailureKind[]];
  /** Where the cause lies; `either` where each side can be meant. */
  readonly side: "source" | "destination" | "either";
  readonly next: Next;
  /** A sentence. */
  readonly meaning: string;
  /** What to do, a clause; nothing where the message says it. */
  readonly advice?: string;
  /** The same where the message quotes QEMU's log, which then needs no look. */
  readonly quotedAdvice?: string;
  /** The same where the destination is the side. */
  readonly destinationAdvice?: string;
  /** The same for a domain of libvirt, where it differs. */
  readonly domain?: { readonly advice: string; readonly destinationAdvice?: string };
  /** The advice says to start the destination's QEMU again. */
  readonly restartsQemu?: true;
}

/** Kinds that most codes come with. */
const CAN = { refused: ["refused"], failed: ["failed"], both: ["refused", "failed"] } as const;
/** Advice where only the other side knows the cause. */
const SEE_PEER = "look at the other side's message and log";

/** Every error code: what it means for the guest, on which side it lies, what to do next. */
export const ERRORS = {
  // Both sides.
  "cancelled": {
    kinds: ["cancelled"],
    side: "either",
    next: "retry",
    meaning: "A signal or `vmferry cancel` ended the migration on that side.",
  },
  "timeout": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The migration was not done within `--timeout`, or no source came within it.",
    advice:
      "give it more time (migrate --timeout) or bandwidth, or let it pause the guest rather " +
      "than give up (--timeout-action pause)",
    destinationAdvice:
      "start 'vmferry migrate' at the source while 'vmferry receive' waits here; it " +
      "waits without limit if --timeout is not given",
    domain: {
      advice:
        "give it more time (domain --timeout) or bandwidth, or let it pause the guest rather " +
        "than give up (--timeout-action pause)",
      destinationAdvice:
        "start 'vmferry domain' at the source while 'vmferry receive --libvirt' waits here; it " +
        "waits without limit if --timeout is not given",
    },
  },
  "failed": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "Something failed that has no code of its own; the message names it.",
  },
  "refused": {
    kinds: CAN.both,
    side: "either",
    next: "retry",
    meaning: "The other side refused a request; the message says why.",
  },
  "peer-error": {
    kinds: CAN.both,
    side: "either",
    next: "retry",
    meaning: "The other side, another version of vmferry, answered with an error code that this " +
      "version does not know; `peerCode` has it.",
  },
  "qmp-unreachable": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "QEMU's QMP socket cannot be used: nobody listens, or another client has it.",
  },
  "qemu-in-use": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "Another running vmferry uses this QEMU by another QMP socket; the message names it.",
    advice: "wait for its end",
  },
  "cut-off": {
    kinds: CAN.both,
    side: "either",
    next: "resume",
    meaning:
      "An earlier process of this migration was killed. As a failure: RAM was crossing when " +
      "it was killed, and RAM cannot be resumed.",
  },
  "nothing-to-resume": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "`--resume` was given, and no migration of this QEMU was cut off on this host.",
  },
  "hook-failed": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning:
      "`--hook-before-switchover` failed or took longer than `--hook-timeout` on that side; " +
      "the message quotes its standard error. Everything is undone.",
  },
  "already-started": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "A QEMU answers on the QMP socket of `--qmp` before `--start` has started one.",
  },
  "start-failed": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "`--start` failed, took longer than `--hook-timeout`, or QEMU did not answer on its " +
      "QMP socket in that time; `--stop` has run.",
  },
  "no-slot": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning:
      "Other migrations ran on this host for all of `--max-wait`, and `--max-parallel` allows " +
      "no more.",
    advice: "try again later, or with a longer --max-wait",
  },
  "not-undone": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "Part of an earlier migration of this QEMU is still not undone.",
  },

  // The connection.
  "unreachable": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "No connection could be made to the other side.",
    advice: "check that 'vmferry receive' runs there and that this host may connect to its port",
    domain: {
      advice:
        "check that 'vmferry receive --libvirt' runs there and that this host may connect to " +
        "its port",
    },
  },
  "not-carried": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "With `ssh://`: the destination's host has no vmferry of this version and can't take " +
      "a copy of this one; the message says why.",
  },
  "connection-lost": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The connection was lost and did not come back within `--grace`.",
    advice:
      "when the connection works, start vmferry again, at the destination too unless ssh:// starts it there",
  },
  "ended-by-peer": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The other side ended the session; the message is its reason.",
  },
  "version": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "Both versions of vmferry have no version of the protocol in common.",
  },
  "wrong-secret": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "The secret or the ticket is not the one that the other side has.",
  },
  "busy": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "The other side serves another session and accepts no second one.",
  },
  "not-allowed": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "The other side accepts no such client; a ticket has been used already, for one.",
  },
  "malformed": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "The other side does not understand the first message, so it is no vmferry, or a " +
      "defective one.",
  },
  "unknown-session": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "The other side does not know the session: its process is another one than before.",
  },
  "stale-epoch": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "A newer connection of the same session has replaced this one.",
  },
  "bad-resume": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "Both sides disagree on how many bytes had crossed; the session cannot continue.",
  },

  // Calls between both sides.
  "unknown-procedure": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The other side is older and does not know a request.",
    advice: "use the same version of vmferry on both hosts",
  },
  "unknown-channel": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The other side serves no such stream.",
    advice: SEE_PEER,
  },
  "unknown-migration": {
    kinds: CAN.failed,
    side: "destination",
    next: "recover",
    meaning: "The destination has no record of the migration that the source asks for.",
    advice: "run 'vmferry recover' on both hosts",
  },
  "bad-params": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The other side rejects the form of a request.",
    advice: "use the same version of vmferry on both hosts",
  },
  "bad-result": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "An answer of the other side has the wrong form.",
    advice: "use the same version of vmferry on both hosts",
  },

  // Found before anything is touched.
  "source-not-fit": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "The source's guest or QEMU cannot be migrated; `problems` lists the reasons.",
  },
  "destination-not-fit": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "The destination's QEMU cannot receive the guest; `problems` lists the reasons.",
  },
  "same-storage": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "A disk of the destination is on storage of the source, or may be, or on that of another disk " +
      "of the destination: a copy would destroy it. Or a disk with share-rw=on is on other storage " +
      "than the source's.",
  },
  "base-differs": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "With `--sync top`: the destination's backing files are not the source's, or its image is not empty.",
  },
  "connections": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "The destination does not accept as many `--connections`, or one of them cannot be made.",
  },
  "base-not-compared": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "With `--sync top`: vmferry could not compare the backing files of both ends.",
  },
  "machines-differ": {
    kinds: CAN.both,
    side: "destination",
    next: "retry",
    meaning: "The destination's machine is not the source's ([comparison.md](comparison.md)).",
    advice:
      "start the destination's QEMU with the same machine and devices as the source's; where a " +
      "difference is meant to be, --allow with the rule in brackets lets it pass",
  },
  "nbd-server": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "The destination's QEMU does not start its NBD server.",
  },
  "disk-inactive": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "The guest arrived at this QEMU paused, and QEMU does not activate one of its disks.",
  },

  // Disks.
  "no-export": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination exports no disk by that name.",
  },
  "mirror-failed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source's QEMU does not start the mirror job of a disk.",
  },
  "mirror-cancelled": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "Somebody cancelled a mirror job in the source's QEMU.",
  },
  "mirror-stuck": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "A mirror job makes no progress although the connection works.",
  },
  "disk-full": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The storage under a disk of the destination is full.",
    advice: "make room there and migrate again",
  },
  "disk-write-failed": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination cannot write a disk.",
    advice:
      "look at the storage under that disk and at what QEMU and the kernel say of it, then migrate again",
  },
  "disk-read-failed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source cannot read a disk.",
    advice: "the guest meets the same error where it reads there: look at the storage " +
      "under that disk, or leave the disk out with --disk",
  },
  "disk-connection-closed": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's QEMU closed a disk's NBD connection.",
    advice: SEE_PEER,
  },
  "disk-differs": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning:
      "With `--verify`: blocks of a disk or image differ from the source's, also after they were " +
      "sent again: while the guest was paused, or after the copy.",
    advice: "check the destination's storage and who else writes to it before the next try",
  },
  "verify-failed": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "With `--verify`: an end cannot read a disk or image to compare it.",
  },
  "exports-gone": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's QEMU no longer has the exports of the migration to resume.",
  },
  "probe-not-nbd": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "What answers for a disk at the destination does not speak NBD.",
  },
  "probe-tls-required": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's NBD server demands TLS, which the tunnel has already.",
  },
  "probe-unknown-export": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's NBD server does not have the disk's export.",
  },
  "probe-refused": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's NBD server refuses the disk's export.",
  },
  "probe-protocol-error": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's NBD server breaks the NBD protocol.",
  },
  "probe-closed": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's NBD server closes the connection of a disk again and again.",
  },
  "probe-timeout": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's NBD server does not answer.",
  },
  "probe-size-mismatch": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "A disk of the destination is smaller than the source's.",
  },
  "probe-read-only": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "A disk of the destination cannot be written to.",
  },

  // The guest and the source's machine, during the copy.
  "machine-changed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source's machine changed during the migration: a hotplug, a resize, a job.",
  },
  "guest-io-error": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "QEMU paused the guest because of an I/O error of a disk.",
    advice: "mend the storage and continue the guest with 'cont' in QEMU's monitor, which " +
      "tries the request again; then migrate again",
  },
  "guest-shutdown": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The guest shut down.",
    advice: "start the guest where it is wanted; there is no running guest left to move",
  },
  "guest-panicked": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The guest's kernel panicked.",
    advice: "look at the guest at the source, reset it and migrate again",
  },
  "guest-stopped": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "QEMU stopped the guest: its watchdog fired, or QEMU had an internal error.",
    advice: "look at the guest at the source; migrate again when it runs",
  },
  "guest-asleep": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The guest went to sleep (ACPI S3), which this QEMU does not carry across.",
  },
  "guest-asleep-stuck": {
    kinds: ["unknown"],
    side: "source",
    next: "recover",
    meaning: "The guest sleeps (ACPI S3) at the source, and this QEMU cannot resume it.",
    advice: "the guest's RAM cannot be resumed here: see whether the destination has it; if not, " +
      "'system_reset' and then 'cont' in QEMU's monitor start the guest from its disks",
  },
  "guest-frozen": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The guest ran no instruction for some time while the connection worked.",
  },
  "guest-held": {
    kinds: CAN.failed,
    side: "source",
    next: "recover",
    meaning: "The source's guest stays paused: QEMU does not resume it.",
  },

  // RAM and the switchover.
  "disk-not-inactivated": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source's QEMU could not inactivate its disks, after RAM and disks had crossed.",
    advice:
      "the log of the source's QEMU has more. A qcow2 image above a preallocate filter is known for " +
      "it from QEMU 10.0 on: start the guest without the filter",
  },
  "ram-failed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source's QEMU could not send RAM, or the destination's did not load it.",
    advice: "the log of the destination's QEMU has the reason: start that QEMU again with " +
      "-incoming defer, then migrate again",
    restartsQemu: true,
  },
  "second-connection": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning:
      "The source's QEMU opened more connections for RAM than both ends have agreed on, one " +
      "without --multifd: somebody has changed its migration settings.",
  },
  "not-loaded": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's QEMU could not load the guest.",
    advice: "start the destination's QEMU again with -incoming defer and with the same devices " +
      "as the source's, then migrate again",
    restartsQemu: true,
  },

  // One side is gone.
  "source-qemu-gone": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source's QEMU has ended, and the guest with it.",
    advice: "its log and the kernel's have the reason; start the guest again there",
    quotedAdvice: "start the guest again there",
  },
  "destination-qemu-gone": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's QEMU has ended.",
    advice: "its log and the kernel's have the reason; start it again with -incoming defer, " +
      "then migrate again",
    quotedAdvice: "start it again with -incoming defer, then migrate again",
    restartsQemu: true,
  },
  "source-gone": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The source ended the session, or did not come back in time.",
  },
  "aborted-by-source": {
    kinds: ["failed", "cancelled"],
    side: "source",
    next: "retry",
    meaning:
      "The source, an older version of vmferry, gave the migration up; its message says why.",
  },
  "not-taken-up": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's process was restarted and cannot resume the migration.",
  },
  "given-up": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination had given the migration up before `receive --resume` was started.",
  },

  // The handover.
  "not-started": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination does not run the guest and never will; the source continues it.",
  },
  "not-seen-running": {
    kinds: ["failed", "unknown"],
    side: "destination",
    next: "recover",
    meaning: "The destination's QEMU was given `cont` and does not report that the guest runs.",
    advice: "ask QEMU itself how the guest is (query-status); 'vmferry recover' on both " +
      "hosts says what follows",
  },
  "handover-unanswered": {
    kinds: ["unknown"],
    side: "destination",
    next: "recover",
    meaning: "The source handed the guest over and could not learn whether it runs.",
  },
  "postcopy-paused": {
    kinds: ["unknown"],
    side: "either",
    next: "recover",
    meaning:
      "The guest runs at the destination (post-copy), and a part of its RAM, which only the " +
      "source's QEMU has, does not cross: the connection or one of the tools was lost for too long. The guest " +
      "needs both QEMUs until they are joined again.",
    advice:
      "leave both QEMUs as they are, and run both commands again with --resume: 'vmferry receive " +
      "--resume' at the destination, then 'vmferry migrate --resume' at the source, each with the options of before. Over " +
      "ssh:// the second one is enough, with --remote-qmp PATH and without --launch",
  },
  "postcopy-lost": {
    kinds: ["unknown"],
    side: "either",
    next: "recover",
    meaning:
      "One of the two QEMUs ended while a part of the guest's RAM was still at the source: the guest " +
      "cannot go on at the destination.",
    advice:
      "if the source's QEMU is there, 'vmferry recover --force-run-here' continues the guest at the source " +
      "from the moment of the switchover: what it did since then is lost. Otherwise kill the destination's QEMU, which " +
      "waits for this RAM forever, and start the guest from its disks there",
  },
  "lost": {
    kinds: ["unknown"],
    side: "destination",
    next: "recover",
    meaning: "The destination's QEMU ended, or was lost, just after vmferry gave it `cont`.",
  },

  // libvirt: the migration of a domain.
  "virsh-missing": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "The source's host has no `virsh`.",
  },
  "libvirt-unreachable": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "No libvirt answers, or it does not allow vmferry's user what a migration needs.",
  },
  "domain-failed": {
    kinds: CAN.failed,
    side: "either",
    next: "retry",
    meaning: "The migration failed in libvirt; the message has libvirt's own text.",
  },
  "libvirt-gone": {
    kinds: CAN.failed,
    side: "destination",
    next: "retry",
    meaning: "The destination's libvirt closed its connection while it migrated the domain.",
  },
  "domain-ended": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "The domain shut down, crashed or was destroyed during its migration.",
  },
  "guest-not-resumed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning:
      "The destination does not have the domain, and libvirt could not resume it at the source.",
  },
  "domain-unsettled": {
    kinds: ["unknown"],
    side: "either",
    next: "retry",
    meaning: "The migration was cut off, and it is not known which host has the domain.",
    advice: "the same 'vmferry domain' again finds out, once both hosts can be reached",
  },
  "postcopy-failed": {
    kinds: ["unknown"],
    side: "either",
    next: "retry",
    meaning:
      "The connection was lost in post-copy: each host has a part of the domain's RAM, and libvirt keeps " +
      "both parts.",
    advice:
      "destroy or resume the domain on neither host; docs/libvirt.md says how libvirt sends the rest",
  },
  "no-socket-directory": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "There is no directory for QEMU's sockets that vmferry can make on both hosts.",
  },

  // libvirt: found by the check of a domain.
  "virsh-too-old": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "`virsh` or a libvirt daemon is older than 6.8.0.",
  },
  "no-domain": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "The source's libvirt has no domain by that name, UUID or id.",
  },
  "domain-not-running": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "The domain is neither running nor paused.",
  },
  "domain-busy": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning:
      "The domain has a job, such as another migration or a backup, or one of its disks has.",
  },
  "domain-not-movable": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "The domain has something that libvirt cannot migrate, such as a transient disk.",
  },
  "option-refused": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning: "An option for the domain's disks, or for `virsh migrate`, cannot be used.",
  },
  "same-host": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "Both ends have the same host UUID; libvirt does not migrate to the same host.",
  },
  "domain-exists": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "The destination has a domain with this name or UUID that is in the way.",
  },
  "shared-storage": {
    kinds: CAN.refused,
    side: "either",
    next: "retry",
    meaning: "A disk has the same storage at both ends: a copy would destroy it.",
  },
  "image-exists": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "A disk's image exists at the destination, and `--reuse` does not allow to overwrite it.",
  },
  "image-in-use": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "Another domain, disk or launch of the destination has the path of a disk's image, or another " +
      "launch there has the guest's name.",
  },
  "image-missing": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "The destination lacks a file or device that the domain needs and that is not copied, or " +
      "the place for an image.",
  },
  "image-unfit": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "A file of the destination has another size, format or content than the source's.",
  },
  "image-changed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning:
      "A program has written to an image, or to one below it, while `vmferry copy` copied it. No image " +
      "gets its name.",
    advice: "end the program that writes to the image, and copy again",
  },
  "no-room": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "The destination has less free room than the images occupy at the source.",
  },
  "network-missing": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "A network or bridge of the domain is missing at the destination, or inactive.",
  },
  "pool-missing": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "A storage pool of the domain is missing at the destination, or inactive.",
  },
  "machine-unsupported": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "The destination's libvirt does not have the domain's emulator, type or machine type.",
  },
  "cpu-incompatible": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "The destination's libvirt says that its hypervisor cannot offer the domain's CPU.",
  },
  "image-not-created": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "A disk's image cannot be created; the message has the host's own text. Nothing is left.",
  },
  // A launch: `migrate --launch` and `receive --launch`.
  "not-launchable": {
    kinds: CAN.refused,
    side: "source",
    next: "retry",
    meaning:
      "Something of the source's QEMU cannot be started again at another host, such as an inherited " +
      "file descriptor, or its command line cannot be read.",
  },
  "launch-not-served": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "The destination starts no QEMU for a source: it is older, or runs without `--launch`.",
  },
  "host-unfit": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "The destination lacks what the launch needs: the QEMU binary in this version or a later one, " +
      "the machine type, the CPU architecture, qemu-img, systemd or the user.",
  },
  "launch-not-allowed": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "A source from the network asks for a program, file or socket that the destination keeps from it.",
  },
  "socket-in-use": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning: "A socket of QEMU exists at the destination already.",
  },
  "file-not-copied": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "A file that the guest needs did not arrive whole at the destination. Nothing is left.",
  },
  "qemu-not-started": {
    kinds: CAN.refused,
    side: "destination",
    next: "retry",
    meaning:
      "The QEMU that was started at the destination ended, or does not answer. Nothing is left.",
  },
  "file-changed": {
    kinds: CAN.failed,
    side: "source",
    next: "retry",
    meaning: "A file changed while it was sent to the destination.",
  },
} as const satisfies Record<string, ErrorRow>;

/** A code of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** What is known of a code. */
export function rowOf(code: ErrorCode): ErrorRow {
  return ERRORS[code];
}

/** Whether a word that a peer sent is a code of this version. */
export function isErrorCode(word: string): word is ErrorCode {
  return Object.hasOwn(ERRORS, word);
}
