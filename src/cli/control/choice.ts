/**
 * Which of the migrations on this host is meant. Pure.
 *
 * @module
 */
import type { StatusEvent } from "../output/events.ts";
import { UsageError } from "../args/usage_error.ts";
import type { Found, Silent } from "./client.ts";
import { ControlError } from "./protocol.ts";

/** What `--qmp` and `--name` say. */
export interface Wanted {
  /** The QMP socket's absolute path, and where it leads to. */
  readonly qmp: readonly string[] | undefined;
  /** The guest's name or UUID; the path of an image of a copy. */
  readonly name: string | undefined;
}

/** Those that `wanted` fits; all where it says nothing. */
export function matching(found: readonly Found[], wanted: Wanted): readonly Found[] {
  const { qmp, name } = wanted;
  return found.filter(({ status, qmp: of }) =>
    (qmp === undefined || qmp.some((path) => of.includes(path))) &&
    (name === undefined || name === status.guest.name || status.copy?.includes(name) ||
      name.toLowerCase() === status.guest.uuid?.toLowerCase())
  );
}

/**
 * The one that is meant.
 *
 * @throws {UsageError} naming them, when there are several.
 * @throws {ControlError} when there is none.
 */
export function theOne(
  found: readonly Found[],
  silent: readonly Silent[],
  wanted: Wanted,
  base: string,
): Found {
  const fitting = matching(found, wanted);
  const [only, another] = fitting;
  if (!only) throw new ControlError("not-here", nobody(found, silent, base));
  if (another) {
    const list = fitting.map(({ status }) => `\n  ${introduce(status)}`).join("");
    throw new UsageError(
      `${fitting.length} migrations run here; say with --qmp or --name which one is meant:${list}`,
    );
  }
  return only;
}

/** That none fits, and what there is instead. */
export function nobody(found: readonly Found[], silent: readonly Silent[], base: string): string {
  const lines = [
    ...found.map(({ status }) => `\n  ${introduce(status)}`),
    ...silent.map(({ runDir, reason }) => `\n  ${runDir}: ${reason}`),
  ].join("");
  const none = found.length > 0
    ? "No such migration runs here; there is:"
    : `No migration runs here (none has its directory in ${base})`;
  return none + (found.length === 0 && lines !== "" ? "; what was left there:" : "") + lines;
}

/** A migration in one line, with what it can be chosen by. */
export function introduce(status: StatusEvent): string {
  const { role, guest, qmp, pid } = status;
  const name = guest.name ?? guest.uuid;
  if (status.copy !== undefined) {
    const command = role === "source" ? `copy ${status.copy.join(" ")}` : "receive --copy";
    return `${command}, process ${pid}`;
  }
  if (status.libvirt !== undefined) {
    const command = role === "source" ? "domain" : "receive --libvirt";
    return `${command}${name ? ` (domain "${name}")` : ""}, ${status.libvirt}, process ${pid}`;
  }
  const command = role === "source" ? "migrate" : "receive";
  return `${command} --qmp ${qmp}${name ? ` (guest "${name}")` : ""}, process ${pid}`;
}
