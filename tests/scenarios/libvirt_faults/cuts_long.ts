import type { Scenario } from "../support/scenario.ts";
import { survive } from "./cuts.ts";

/** As `cuts`, for longer. */
export const scenario: Scenario = {
  name: "cuts_long",
  about: "a cut of 20 s while disks and while RAM are copied loses nothing of a domain",
  timeoutMs: 180_000,
  long: true,
  run: (context) => survive(context, [20]),
};
