/**
 * The figures of a benchmark as numbers and as a table.
 *
 * @module
 */
import { median, quantile } from "./ground.ts";

export const COLUMNS = ["1 mirrors", "4 mirrors", "16 mirrors", "raw", "raw again"] as const;
export type Column = (typeof COLUMNS)[number];

type PerColumn = Record<Column, number[]>;

function perColumn(): PerColumn {
  return { "1 mirrors": [], "4 mirrors": [], "16 mirrors": [], "raw": [], "raw again": [] };
}

/** What was measured of one row, a value a round. */
export class Figures {
  /** MB (10^6 bytes) a second, all mirrors together. */
  readonly rates = perColumn();
  /** CPU seconds per GB (10^9 bytes) of each end. */
  readonly cpu = { near: perColumn(), far: perColumn() };
  /** The most memory that each end had in any run, MiB. */
  readonly memory = { near: 0, far: 0 };
  /** Round trips of the RPC behind four mirrors, ms. */
  readonly roundTrips: number[] = [];
}

interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** A row as it is in the JSON. Rates in MB/s, CPU in s/GB, memory in MiB, round trips in ms. */
export interface RowSummary {
  readonly row: string;
  readonly rates: Readonly<Record<Column, Spread>>;
  readonly cpu: { readonly near: Spread; readonly far: Spread } | null;
  readonly memory: { readonly near: number; readonly far: number } | null;
  readonly roundTrips:
    | { readonly count: number; readonly p50: number; readonly p99: number }
    | null;
  /** Median over the rounds of its rate over that of another row. */
  readonly ratios: Readonly<Record<string, Ratios>>;
}

interface Ratios {
  /** With 4 mirrors. */
  readonly mirrors: number;
  readonly raw: number;
  readonly rawAgain: number;
}

export function summary(figures: ReadonlyMap<string, Figures>): RowSummary[] {
  return [...figures].map(([row, own]) => {
    const relayed = own.memory.near > 0;
    return {
      row,
      rates: Object.fromEntries(
        COLUMNS.map((c) => [c, spread(own.rates[c])]),
      ) as RowSummary["rates"],
      cpu: relayed
        ? { near: spread(own.cpu.near["4 mirrors"]), far: spread(own.cpu.far["4 mirrors"]) }
        : null,
      memory: relayed
        ? { near: Math.round(own.memory.near), far: Math.round(own.memory.far) }
        : null,
      roundTrips: own.roundTrips.length > 0
        ? {
          count: own.roundTrips.length,
          p50: quantile(own.roundTrips, 0.5),
          p99: quantile(own.roundTrips, 0.99),
        }
        : null,
      ratios: Object.fromEntries(
        [...figures].filter(([other]) => other !== row).map(([other, theirs]) => [other, {
          mirrors: medianRatio(own.rates["4 mirrors"], theirs.rates["4 mirrors"]),
          raw: medianRatio(own.rates.raw, theirs.rates.raw),
          rawAgain: medianRatio(own.rates["raw again"], theirs.rates["raw again"]),
        }]),
      ),
    };
  });
}

/** Round by round, so that what slowed down a whole round counts for neither. */
function medianRatio(own: readonly number[], other: readonly number[]): number {
  return median(own.map((value, i) => value / other[i]!));
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

export function printTable(rows: readonly RowSummary[]): void {
  console.log(
    "\nMB/s, median (least..most); CPU s/GB with 4 mirrors, peak MiB: near + far end; RPC behind 4 " +
      "mirrors, ms\n",
  );
  const head = [
    ...["row", "1 mirror", "4 mirrors", "16 mirrors", "raw stream", "second one"],
    ...["CPU", "peak", "RPC p50", "p99"],
  ];
  const rate = ({ median, least, most }: Spread) =>
    `${median.toFixed(0)} (${least.toFixed(0)}..${most.toFixed(0)})`;
  table([
    head,
    ...rows.map(({ row, rates, cpu, memory, roundTrips }) => [
      row,
      ...COLUMNS.map((column) => rate(rates[column])),
      cpu ? `${cpu.near.median.toFixed(2)} + ${cpu.far.median.toFixed(2)}` : "",
      memory ? `${memory.near} + ${memory.far}` : "",
      roundTrips?.p50.toFixed(1) ?? "",
      roundTrips?.p99.toFixed(1) ?? "",
    ]),
  ]);
  const own = rows.filter(({ row }) => row.startsWith("vmferry"));
  if (own.length === 0) return;
  console.log(
    "\nRatio to other rows, median over the rounds: 4 mirrors / raw stream / second one\n",
  );
  const ratio = ({ mirrors, raw, rawAgain }: Ratios) =>
    [mirrors, raw, rawAgain].map((n) => n.toFixed(2)).join(" / ");
  const others = rows.map(({ row }) => row).filter((row) => !row.startsWith("vmferry"));
  table([
    ["row", ...others.map((row) => `to ${row}`)],
    ...own.map(({ row, ratios }) => [row, ...others.map((other) => ratio(ratios[other]!))]),
  ]);
}

/** Prints rows of cells in Markdown. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  console.log(line(rows[0]!));
  console.log(line(widths.map((width) => "-".repeat(width))));
  for (const row of rows.slice(1)) console.log(line(row));
}
