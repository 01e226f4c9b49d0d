/**
 * A migration as metrics in the text format of Prometheus (exposition format 0.0.4). Names are those of KubeVirt
 * (`kubevirt_vmi_migration_*`) where it has one, with the prefix `vmferry_migration_`. Pure but for its clock.
 *
 * @module
 */
import type { DiskProgress, MigrationEvent, Phase, RamProgress } from "../../migrate/mod.ts";
import type { Identity } from "../control/status_board.ts";
import { VERSION } from "../version.ts";

const PREFIX = "vmferry_migration_";

/** In the order in which they come. */
const PHASES: readonly Phase[] = [
  ...["launch", "prepare", "mirror", "ram", "switchover", "handover", "postcopy", "done"] as const,
];

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** Keeps the latest events of a migration, and writes them as metrics. */
export class Metrics {
  readonly #startedAt: number;
  readonly #now: () => number;
  #identity: Pick<Identity, "role" | "guest"> | undefined;
  #phase: Phase | undefined;
  #disks: readonly DiskProgress[] = [];
  #ram: RamProgress | null = null;
  #rate = 0;
  #isUp = true;
  #losses = 0;
  #warnings = 0;
  #result: (MigrationEvent & { readonly event: "result" }) | undefined;
  #endedAt: number | undefined;

  /** @param now seconds since 1970. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
  }

  /** Which guest it is. */
  identify(identity: Pick<Identity, "role" | "guest">): void {
    this.#identity = identity;
  }

  note(event: MigrationEvent): void {
    switch (event.event) {
      case "phase":
        this.#phase = event.phase;
        break;
      case "progress":
        this.#disks = event.disks;
        this.#ram = event.ram;
        this.#rate = event.rate;
        break;
      case "link":
        if (this.#isUp && event.state === "down") this.#losses++;
        this.#isUp = event.state === "up";
        break;
      case "warning":
        this.#warnings++;
        break;
      case "result":
        this.#result = event;
        this.#endedAt = this.#now();
        this.#rate = 0;
        break;
    }
  }

  /** All metrics; each line ends. */
  text(): string {
    const { role = "source", guest } = this.#identity ?? {};
    const common = { guest: guest?.name ?? "", uuid: guest?.uuid ?? "", role };
    const lines: string[] = [];
    const add = (
      name: string,
      type: "gauge" | "counter",
      help: string,
      samples: readonly Sample[],
    ) => {
      if (samples.length === 0) return;
      lines.push(`# HELP ${PREFIX}${name} ${help}`, `# TYPE ${PREFIX}${name} ${type}`);
      for (const [labels, value] of samples) {
        lines.push(`${PREFIX}${name}${labelText({ ...common, ...labels })} ${value}`);
      }
    };
    const one = (value: number | null | undefined): Sample[] => value == null ? [] : [[{}, value]];
    const ram = this.#ram;
    const result = this.#result;
    const sum = (of: (disk: DiskProgress) => number) => this.#disks.reduce((n, d) => n + of(d), 0);
    const left = ({ total, transferred }: DiskProgress) => Math.max(0, total - transferred);
    const hasData = this.#disks.length > 0 || ram !== null;
    const data = (value: number) => one(hasData ? value : undefined);
    add("info", "gauge", "The vmferry that reports.", [[{ version: VERSION }, 1]]);
    add(
      "phase",
      "gauge",
      "1 for the phase in which the migration is.",
      PHASES.map((phase): Sample => [{ phase }, phase === this.#phase ? 1 : 0]),
    );
    add("start_time_seconds", "gauge", "When it began, Unix time.", one(this.#startedAt));
    add("end_time_seconds", "gauge", "When it ended, Unix time.", one(this.#endedAt));
    const succeeded = result && Number(result.outcome === "migrated");
    add("succeeded", "gauge", "1: the guest is at the destination.", one(succeeded));
    const failed = result && Number(result.outcome !== "migrated");
    add("failed", "gauge", "1: it failed, or was cancelled.", one(failed));
    add(
      "data_total_bytes",
      "gauge",
      "Disks and RAM, with what the guest has changed on disks since.",
      data(sum(({ total }) => total) + (ram?.total ?? 0)),
    );
    add(
      "data_processed_bytes",
      "gauge",
      "Bytes of disks and RAM that were sent, over all passes.",
      data(sum(({ transferred }) => transferred) + (ram?.transferred ?? 0)),
    );
    add(
      "data_remaining_bytes",
      "gauge",
      "Bytes of disks and RAM that are left to send.",
      data(sum(left) + (ram?.remaining ?? 0)),
    );
    const disks = (of: (disk: DiskProgress) => number) =>
      this.#disks.map((disk): Sample => [{ disk: disk.name }, of(disk)]);
    add("disk_total_bytes", "gauge", "Of one disk.", disks(({ total }) => total));
    add("disk_processed_bytes", "gauge", "Sent of one disk.", disks((d) => d.transferred));
    add("disk_ready", "gauge", "1: only the guest's changes are left.", disks((d) => +d.ready));
    add("memory_total_bytes", "gauge", "Size of the guest's RAM.", one(ram?.total));
    add("memory_processed_bytes", "gauge", "RAM that was sent, all passes.", one(ram?.transferred));
    add("memory_remaining_bytes", "gauge", "RAM left in this pass.", one(ram?.remaining));
    add("memory_iteration", "gauge", "Passes over RAM so far.", one(ram?.iteration));
    add(
      "dirty_memory_rate_bytes",
      "gauge",
      "RAM that the guest changes each second.",
      one(ram?.dirtyRate),
    );
    add(
      "throttle_ratio",
      "gauge",
      "Share of the guest's CPU time that auto-converge takes.",
      one(ram?.throttlePercent === undefined ? undefined : ram.throttlePercent / 100),
    );
    add("transfer_rate_bytes", "gauge", "Bytes that cross each second.", one(this.#rate));
    add("connection_up", "gauge", "1: the connection is there.", one(+this.#isUp));
    add("connection_losses_total", "counter", "Lost connections.", one(this.#losses));
    add("warnings_total", "counter", "Warnings that were reported.", one(this.#warnings));
    const seconds = (ms: number | null | undefined) => ms == null ? undefined : ms / 1000;
    add("downtime_seconds", "gauge", "QEMU's downtime.", one(seconds(result?.downtimeMs)));
    add(
      "pause_seconds",
      "gauge",
      "From the guest's stop at the source until it runs at the destination.",
      one(seconds(result?.pauseMs)),
    );
    return lines.join("\n") + "\n";
  }
}

function labelText(labels: Labels): string {
  const escaped = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
  return `{${Object.entries(labels).map(([k, v]) => `${k}="${escaped(v)}"`).join(",")}}`;
}
