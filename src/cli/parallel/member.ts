/**
 * What a member of a lock directory says of itself, in its name and in its file. Pure.
 *
 * @module
 */

/** Whether it has begun, or waits for others to end. */
export type MemberState = "waiting" | "running";

/** What stands in a member's file. */
export interface MemberFacts {
  readonly pid: number;
  /** What it migrates, for people. */
  readonly what: string;
  /** Its `--max-parallel`; `null`: it never waits. */
  readonly maxParallel: number | null;
  /** Its `--host-bandwidth`, bytes per second; `null`: it takes no share. */
  readonly hostBandwidth: number | null;
  /** What it can use of it, bytes per second; `null`: as much as it gets. */
  readonly wants: number | null;
}

/** A member's name: its state, when it came, and something that no other has. */
export interface MemberName {
  readonly state: MemberState;
  /** Orders members by when they came. */
  readonly id: string;
}

/** A member that was found. */
export interface Member extends MemberFacts, MemberName {}

/** Longest text of `what`, characters. */
const LONGEST = 200;
/** Longest file of a member, bytes. */
export const MAX_FACTS = 4096;

/** Digits of the time in an id. */
const TIME_DIGITS = 15;

/**
 * A new id, ordered by `now`, ms since 1970.
 *
 * @param last the last id there is: the new one is later than it, also within the same millisecond or after the
 *   clock was set back.
 */
export function newId(now: number, last?: string): string {
  const next = last === undefined ? 0 : Number(last.slice(0, TIME_DIGITS)) + 1;
  const latest = 10 ** TIME_DIGITS - 1;
  const time = String(Math.min(Math.max(Math.floor(now), next), latest))
    .padStart(TIME_DIGITS, "0");
  return `${time}-${crypto.randomUUID().slice(0, 8)}`;
}

/** The name of a member's file. */
export function fileName({ state, id }: MemberName): string {
  return `${state}-${id}`;
}

/** Reads a file's name; `undefined`: it is no member's. */
export function parseName(name: string): MemberName | undefined {
  const match = /^(waiting|running)-(\d{15}-[0-9a-f]{8})$/.exec(name);
  if (!match) return undefined;
  return { state: match[1] as MemberState, id: match[2]! };
}

/** The contents of a member's file, always of the same length: a later version replaces all of it. */
export function formatFacts(facts: MemberFacts): string {
  const what = facts.what.slice(0, LONGEST);
  return `${JSON.stringify({ ...facts, what }).padEnd(MAX_FACTS / 2)}\n`;
}

/** Reads a member's file. What it lacks is as of a member that never waits and takes no share. */
export function parseFacts(text: string): MemberFacts {
  let value: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) value = parsed as Record<string, unknown>;
  } catch {
    // Its owner is writing it, or is another version.
  }
  const { pid, what, maxParallel, hostBandwidth, wants } = value;
  return {
    pid: whole(pid) ?? 0,
    what: typeof what === "string" ? what.slice(0, LONGEST) : "a migration",
    maxParallel: whole(maxParallel),
    hostBandwidth: whole(hostBandwidth),
    wants: whole(wants),
  };
}

function whole(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : null;
}
