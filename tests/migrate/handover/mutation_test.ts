import { assert, assertEquals } from "@std/assert";
import { explore } from "./model/explore.ts";
import { type Program, SHIPPED } from "./model/world.ts";

/** How much bad luck finds every one of these orders. */
const BAD_LUCK = 2;

type Lists = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** A list as a test names it: `source switchover.crossed`, `recover discard`. */
function listOf(program: Program, name: string): readonly string[] {
  const [side, path] = name.split(" ") as ["source" | "destination" | "recover", string];
  const [state, event] = path.split(".") as [string, string];
  if (side === "recover") {
    return (program.recover as Readonly<Record<string, readonly string[]>>)[state]!;
  }
  return (program[side] as Lists)[state]![event]!;
}

/** The program with another order in one of its lists. */
function changed(name: string, order: readonly string[]): Program {
  const program = structuredClone(SHIPPED) as unknown as Record<string, Record<string, unknown>>;
  const [side, path] = name.split(" ") as [string, string];
  const [state, event] = path.split(".") as [string, string];
  if (side === "recover") program.recover![state] = order;
  else (program[side]![state] as Record<string, unknown>)[event] = order;
  return program as unknown as Program;
}

/** An action moved right behind another one; neighbours change places. */
function moved(list: readonly string[], action: string, behind: string): string[] {
  const rest = list.filter((a) => a !== action);
  const at = rest.indexOf(behind);
  assert(list.includes(action) && at >= 0, `${action} and ${behind} are in the list`);
  rest.splice(at + 1, 0, action);
  return rest;
}

/** What the model finds with that order; `undefined`: nothing. */
function found(name: string, order: readonly string[]): string | undefined {
  const postcopy = /postcopy|ram-left/.test(name);
  const { broken, arrives } = explore(changed(name, order), { badLuck: BAD_LUCK, postcopy });
  return broken?.rule ?? (arrives ? undefined : "the guest arrives");
}

/** Neighbours on whose order safety rests: which list, which action, behind which. */
const SWAPS: readonly (readonly [list: string, action: string, behind: string])[] = [
  ["source ram.stopped", "wait mirrors", "compare disks"],
  ["source ram.stopped", "compare disks", "call load"],
  ["source switchover.crossed", "written", "write handover"],
  ["source switchover.crossed", "write handover", "enter"],
  ["destination prepared.incoming", "note incoming", "qemu migrate-incoming"],
  ["destination loaded.finish", "write starting", "enter"],
  ["destination starting.runs", "write finished", "enter"],
  ["destination starting.ram-left", "write postcopy", "enter"],
  ["destination postcopy.ram-crossed", "write finished", "enter"],
  ["destination failed.status", "written", "answer status"],
  ["destination lost.status", "written", "answer status"],
  ["destination failed.finish-late", "written", "answer not-started"],
  ["destination lost.finish-late", "written", "answer lost"],
  ["recover run-here", "qemu cont", "forget"],
  ["recover keep", "undo", "forget"],
  ["recover discard", "qemu quit", "forget"],
];

/** The same of actions that others stand between. */
const MOVES: typeof SWAPS = [
  ["source ram.stopped", "wait mirrors", "call load"],
  ["source ram.stopped", "wait mirrors", "qemu migrate-continue"],
  ["source ram.stopped", "compare disks", "qemu migrate-continue"],
  ["source switchover.crossed", "write handover", "call finish"],
  ["source switchover.fault", "withdraw undone", "qemu cont"],
  ["destination loaded.finish", "write starting", "qemu cont"],
  ["destination loaded.fault", "try to write failed", "qemu discard"],
  ["destination loaded.fault", "enter", "qemu discard"],
  ["destination starting.refused", "try to write failed", "answer not-started"],
  ["destination starting.runs", "write finished", "answer finish"],
  ["destination starting.ram-left", "write postcopy", "answer finish"],
  ["destination starting.ram-left", "enter", "answer finish"],
];

/** Actions without which no other one is safe, or the guest never becomes whole. */
const REMOVALS: readonly (readonly [list: string, action: string])[] = [
  ["destination starting.ram-left", "write postcopy"],
  ["destination postcopy.ram-crossed", "write finished"],
  ["source postcopy.broken", "call recover"],
];

for (const [list, action, behind] of SWAPS) {
  const actions = listOf(SHIPPED, list);
  Deno.test(`the model finds "${action}" swapped with "${behind}" (${list})`, () => {
    assertEquals(actions.indexOf(behind) - actions.indexOf(action), 1, "neighbours");
    assert(found(list, moved(listOf(SHIPPED, list), action, behind)), "no rule is broken");
  });
}

for (const [list, action, behind] of MOVES) {
  Deno.test(`the model finds "${action}" moved behind "${behind}" (${list})`, () => {
    assert(found(list, moved(listOf(SHIPPED, list), action, behind)), "no rule is broken");
  });
}

for (const [list, action] of REMOVALS) {
  Deno.test(`the model finds that "${action}" is missing (${list})`, () => {
    const rest = listOf(SHIPPED, list).filter((a) => a !== action);
    assert(found(list, rest), "no rule is broken");
  });
}
