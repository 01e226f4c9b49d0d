import { printable } from "../../io/mod.ts";
import type { MigrationEvent } from "../../migrate/mod.ts";
import { compressed, details, percent, throttled } from "./words.ts";
import { formatSeconds, formatSize } from "../args/size.ts";

type Progress = MigrationEvent & { readonly event: "progress" };

/** Disks that get a bar of their own; the rest share one line. */
const MOST_DISKS = 16;

/** Shortest bar that says anything, characters. */
const LEAST_BAR = 8;

/** Progress bars on a terminal: drawn over each other, with lines scrolling by above them. */
export class Bars {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #drawn: readonly string[] = [];

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** Draws the bars anew. */
  show(progress: Progress): void {
    const lines = barLines(progress, Math.max(1, this.#columns() - 1));
    this.#write(this.#erase() + lines.map((line) => line + "\n").join(""));
    this.#drawn = lines;
  }

  /** Prints a line above the bars. */
  above(text: string): void {
    this.#write(this.#erase() + text + "\n" + this.#drawn.map((line) => line + "\n").join(""));
  }

  /** Leaves the bars as they are. */
  end(): void {
    this.#drawn = [];
  }

  #erase(): string {
    return this.#drawn.length === 0 ? "" : `\x1b[${this.#drawn.length}A\x1b[J`;
  }
}

/** The lines for one progress event, none wider than `width`. Pure. */
export function barLines(progress: Progress, width: number): string[] {
  const { disks, ram, rate, eta } = progress;
  const shown = disks.slice(0, MOST_DISKS);
  const names = [...shown.map((d) => d.name), "RAM"];
  const label = Math.min(16, Math.max(...names.map((n) => n.length)));
  const lines = shown.map((d) =>
    bar(
      d.name,
      label,
      d.transferred,
      d.total,
      (d.ready ? "ready" : formatSize(d.sizeBytes ?? d.total)) + details(d),
      width,
    )
  );
  if (disks.length > shown.length) {
    const ready = disks.filter((d) => d.ready).length;
    lines.push(`  ... ${disks.length} disks in all, ${ready} ready`);
  }
  if (ram) {
    const note = `${formatSize(ram.remaining)} left, pass ${ram.iteration}${throttled(ram)}`;
    lines.push(bar("RAM", label, ram.total - ram.remaining, ram.total, note, width));
  }
  const left = eta === null ? "" : `, ${formatSeconds(eta)} left`;
  lines.push(`  ${formatSize(rate)}/s${compressed(progress)}${left}`);
  return lines.map((line) => line.slice(0, width));
}

function bar(
  name: string,
  label: number,
  done: number,
  total: number,
  note: string,
  width: number,
): string {
  const head = `  ${printable(name).slice(0, label).padEnd(label)} `;
  const tail = ` ${percent(done, total).padStart(5)}  ${note}`;
  const room = Math.min(40, width - head.length - tail.length - 2);
  // What does not fit is cut off, and the figures say more than a bar.
  if (room < LEAST_BAR) return head.trimEnd() + tail;
  const full = total > 0 ? Math.min(room, Math.floor(done / total * room)) : room;
  return `${head}[${"#".repeat(full)}${"-".repeat(room - full)}]${tail}`;
}
