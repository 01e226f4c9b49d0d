import type { LadderStep, MigrationEvent } from "../events.ts";
import type { Cause } from "./ladder.ts";

type LadderEvent = MigrationEvent & { readonly event: "ladder" };
type Warning = MigrationEvent & { readonly event: "warning" };

/** What is known of the guest when a step is taken. */
export interface Measured {
  /** Bytes of RAM that it changes a second; `undefined`: QEMU did not measure it. */
  readonly changed: number | undefined;
  /** Throttle that QEMU is asked for, percent; `undefined`: the step has none. */
  readonly throttlePercent: number | undefined;
}

/** A step that begins now, with the rates that caused it. */
export function stepEvent(step: LadderStep, cause: Cause, measured: Measured): LadderEvent {
  const { changed, throttlePercent } = measured;
  return {
    event: "ladder",
    step,
    message: `${reason(cause, changed)}. ${doing(step, throttlePercent)}`,
    rate: Math.round(cause.rate),
    left: cause.left,
    changed: changed ?? null,
    throttlePercent: throttlePercent ?? null,
  };
}

/** Nothing that is allowed has helped, or nothing is allowed. */
export function notConverging(cause: Cause, tried: readonly LadderStep[]): Warning {
  const steps = [
    ...(tried.includes("auto-converge") ? [] : ["throttle it ('vmferry set auto-converge=on')"]),
    "allow more bandwidth ('vmferry set bandwidth=…')",
    "allow a longer downtime ('vmferry set max-downtime=…')",
    "pause it for the rest ('vmferry set pause=when-copied')",
  ];
  const message = `The RAM does not converge: ${lower(reason(cause, undefined))}. ` +
    `Reduce the guest's load, ${steps.slice(0, -1).join(", ")}, or ${steps.at(-1)}`;
  return { event: "warning", code: "ram-not-converging", message };
}

function reason({ passes, left, rate }: Cause, changed: number | undefined): string {
  const rates = changed === undefined
    ? `RAM crosses at ${perSecond(rate)}`
    : `The guest changes ${perSecond(changed)} of RAM, and ${perSecond(rate)} cross`;
  if (passes === 0) return rates;
  const which = passes === 1 ? "the last pass has" : `${passes} passes in a row have`;
  return `${rates}: ${which} had as much to send as the one before, ${inMiB(left)}`;
}

function doing(step: LadderStep, throttlePercent: number | undefined): string {
  switch (step) {
    case "auto-converge": {
      const much = throttlePercent === undefined ? "" : ` by ${throttlePercent} %`;
      return `QEMU throttles the guest's CPUs${much} (auto-converge). ` +
        "'vmferry set auto-converge=off' ends that";
    }
    case "postcopy":
      return "The guest moves to the destination now, and the rest of its RAM follows (post-copy)";
  }
}

function lower(text: string): string {
  return text.startsWith("RAM") ? text : text.charAt(0).toLowerCase() + text.slice(1);
}

/** Bytes per second, as a rate. */
export function perSecond(rate: number): string {
  return `${inMiB(rate)}/s`;
}

/** Bytes, as MiB. */
export function inMiB(bytes: number): string {
  const mib = bytes / (1024 * 1024);
  return `${mib.toFixed(mib < 10 ? 1 : 0)} MiB`;
}
