/** What a process of ours ends with; a contract with scripts. */
export const EXIT = {
  /** Done: the guest runs at the destination. */
  done: 0,
  /** Failed; the guest still runs at the source. */
  failed: 1,
  /** Wrong usage. */
  usage: 2,
  /** Refused by a check; nothing was touched. */
  refused: 3,
  /** Outcome unknown: who runs the guest could not be learned. */
  unknown: 4,
  /** Cancelled; the guest still runs at the source. */
  cancelled: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
