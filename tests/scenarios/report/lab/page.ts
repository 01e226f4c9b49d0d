import type { ReportData } from "../../../../src/cli/report/data.ts";
import type { JsonEvent, Vmferry } from "../../support/vmferry.ts";

/** The JSON in a report. */
export async function dataOf(path: string): Promise<ReportData> {
  const text = await Deno.readTextFile(path);
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text) ?? [];
  if (json === undefined) throw new Error(`${path} holds no data: ${text.length} characters`);
  return JSON.parse(json) as ReportData;
}

/** Compares a report with what the same process has printed with `--json`. */
export function assertSame(data: ReportData, ferry: Vmferry): void {
  const events = ferry.events.entries;
  const pairs: readonly (readonly [what: string, unknown, unknown])[] = [
    ["result", data.result, bare(events.find(({ event }) => event === "result"))],
    ["migration", data.migration, events.find(({ event }) => event === "migration")?.migration],
    ["phases", data.phases.map(({ phase }) => phase), phasesOf(events)],
    ["warnings", messagesOf(data), warningsOf(events)],
    ["cuts", data.cuts.length, cutsOf(events)],
    ["disks", data.disks, lastOf(events, "progress")?.disks ?? []],
    ["guest", data.pauses.length > 0, events.some(({ event }) => event === "guest")],
  ];
  for (const [what, inReport, printed] of pairs) {
    if (JSON.stringify(inReport) === JSON.stringify(printed)) continue;
    throw new Error(
      `${ferry.name}: the report has ${what} ${JSON.stringify(inReport)}, and --json printed ` +
        JSON.stringify(printed),
    );
  }
  if (data.pauses.some(({ toMs }) => toMs === null)) throw new Error("A pause never ended");
}

function bare(event: JsonEvent | undefined): unknown {
  const { time: _, migration: __, ...rest } = event ?? {} as Partial<JsonEvent>;
  return rest;
}

function lastOf(events: readonly JsonEvent[], kind: string): JsonEvent | undefined {
  return events.filter(({ event }) => event === kind).at(-1);
}

function phasesOf(events: readonly JsonEvent[]): unknown[] {
  return events.filter(({ event }) => event === "phase").map(({ phase }) => phase);
}

function messagesOf({ events }: ReportData): unknown[] {
  return events.filter(({ kind }) => kind === "warning").map(({ message }) => message);
}

function warningsOf(events: readonly JsonEvent[]): unknown[] {
  return events.filter(({ event }) => event === "warning").map(({ message }) => message);
}

/** Each `down` after an `up`. */
function cutsOf(events: readonly JsonEvent[]): number {
  const states = events.filter(({ event }) => event === "link").map(({ state }) => state);
  return states.filter((state, i) => state === "down" && states[i - 1] !== "down").length;
}
