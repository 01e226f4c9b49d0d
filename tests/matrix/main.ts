/**
 * `make matrix`: every fault in every phase, with real QEMUs. `main.ts [--jobs N] [--phase TEXT]
 * [--fault TEXT] [--json FILE] [--table FILE]`. A row for each cell, a table of all in the end. A cell
 * whose outcome is not the one in `outcomes.ts` fails.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { singlePass } from "../scenarios/pair/single_pass.ts";
import { ScenarioContext } from "../scenarios/support/scenario.ts";
import { outcomeOf, playCell, type Row } from "./cell.ts";
import { type Fault, FAULTS } from "./faults.ts";
import { tableOf } from "./outcomes.ts";
import { type Phase, PHASES } from "./phases.ts";

const CELL_MS = 600_000;

const args = parseArgs(Deno.args, {
  string: ["jobs", "phase", "fault", "json", "table"],
  unknown(arg) {
    console.error(
      `${arg}: expected --jobs N, --phase TEXT, --fault TEXT, --json FILE, --table FILE`,
    );
    Deno.exit(2);
  },
});
const wanted = (name: "phase" | "fault") => String(args[name] ?? "");
const lacking = singlePass();
if (lacking) console.log(`no phase of post-copy is played: ${lacking}`);
const cells: [Phase, Fault][] = PHASES
  .filter(({ postcopy }) => !(postcopy && lacking))
  .filter(({ name }) => name.includes(wanted("phase")))
  .flatMap((phase) =>
    FAULTS
      .filter((fault) => fault.name.includes(wanted("fault")) && (fault.applies?.(phase) ?? true))
      .map((fault): [Phase, Fault] => [phase, fault])
  );
const rows: Row[] = [];
let failed = 0;
const queue = [...cells];
const start = performance.now();
await Promise.all(Array.from({ length: Number(args.jobs ?? 3) }, async () => {
  for (let cell; (cell = queue.shift());) await play(...cell);
}));
const place = (row: Row) =>
  cells.findIndex(([phase, fault]) => phase.name === row.phase && fault.name === row.fault);
rows.sort((a, b) => place(a) - place(b));
const table = tableOf(rows.map((row) => ({ ...row, outcomes: [outcomeOf(row)] })));
console.log(`\n${table}\n`);
console.log(`${cells.length} cells in ${Math.round((performance.now() - start) / 1000)} s`);
if (args.json) await Deno.writeTextFile(String(args.json), JSON.stringify(rows, undefined, 1));
if (args.table) await Deno.writeTextFile(String(args.table), `${table}\n`);
console.log(`${rows.length} passed, ${failed} failed`);
Deno.exit(failed > 0 || rows.length === 0 ? 1 : 0);

async function play(phase: Phase, fault: Fault): Promise<void> {
  const began = performance.now();
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  const controller = new AbortController();
  const context = new ScenarioContext(dir, controller.signal);
  let failure: unknown;
  let row: Row | undefined;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const reason = new Error(`Not done after ${CELL_MS / 1000} s`);
    controller.abort(reason);
    late.reject(reason);
  }, CELL_MS);
  try {
    const played = playCell(context, phase, fault);
    played.catch(() => {});
    row = await Promise.race([played, late.promise]);
  } catch (error) {
    failure = error;
  } finally {
    clearTimeout(timer);
  }
  const report = failure === undefined ? "" : context.report();
  await context[Symbol.asyncDispose]().catch((error) => failure ??= error);
  await Deno.remove(dir, { recursive: true }).catch(() => {});
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
  const name = `${phase.name.padEnd(18)} ${fault.name.padEnd(30)} ${seconds} s`;
  if (row && failure === undefined) {
    rows.push(row);
    const codes = `${row.migrate.join(",")}/${row.receive.join(",")}`;
    console.log(`ok   ${name}  ${codes}  guest: ${row.guest}  ${row.said}`);
  } else {
    failed++;
    console.log(`FAIL ${name}\n  ${failure instanceof Error ? failure.stack : failure}\n${report}`);
  }
}
