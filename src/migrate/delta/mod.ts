/**
 * `--delta`: what the destination's disks hold already is not sent.
 *
 * @module
 */
export { DeltaFilter, filterFor } from "./filter.ts";
export { progressBeside } from "./progress.ts";

/** The reason for a refusal of a destination whose vmferry does not hash blocks. */
export const NO_DELTA_THERE =
  "the destination's vmferry is older and does not say what its disks hold. Update it, or leave out --delta";
