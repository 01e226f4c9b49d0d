/** The reason for a refusal of a destination whose vmferry does not hash blocks. */
export const NO_VERIFY_THERE =
  "the destination's vmferry is older and does not compare disks. Update it, or leave out --verify";
