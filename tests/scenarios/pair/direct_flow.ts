/**
 * A migration with nothing between the QEMUs, to hold one with vmferry against.
 *
 * @module
 */
import type { Qemu } from "../support/qemu.ts";
import type { ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

export interface DirectOptions {
  /** Makes a socket that leads to the destination's, for the source to connect to; default: that one. */
  readonly through?: (name: "nbd" | "ram", path: string) => Promise<string>;
  /** ms; default QEMU's own, 300. */
  readonly downtimeLimitMs?: number;
}

/** Migrates with the QMP commands that vmferry uses; returns STOP to RESUME in ms. */
export async function migrateDirectly(
  context: ScenarioContext,
  source: Qemu,
  destination: Qemu,
  names: readonly string[],
  { through = (_, path) => Promise.resolve(path), downtimeLimitMs = 300 }: DirectOptions = {},
): Promise<number> {
  const nbd = `${context.dir}/nbd.sock`;
  const ram = `${context.dir}/ram.sock`;

  context.note("destination: exports and the incoming end");
  await destination.execute("nbd-server-start", { addr: { type: "unix", data: { path: nbd } } });
  for (const name of names) {
    await destination.execute("block-export-add", {
      ...{ type: "nbd", id: `export-${name}`, name, writable: true },
      "node-name": `${destination.name}-${name}`,
    });
  }
  await setCapabilities(destination, ["events", "late-block-activate"]);
  await destination.execute("migrate-incoming", { uri: `unix:${ram}` });
  const toNbd = await through("nbd", nbd);
  const toRam = await through("ram", ram);

  context.note("source: mirrors");
  await setCapabilities(source, ["events", "pause-before-switchover"]);
  await source.execute("migrate-set-parameters", {
    "max-bandwidth": 1 << 30,
    "downtime-limit": downtimeLimitMs,
  });
  for (const name of names) {
    await source.execute("blockdev-add", {
      ...{ driver: "nbd", "node-name": `target-${name}`, export: name },
      server: { type: "unix", path: toNbd },
    });
    await source.execute("blockdev-mirror", {
      ...{ "job-id": name, device: `${source.name}-${name}`, target: `target-${name}` },
      ...{ sync: "full", "auto-dismiss": false },
    });
  }
  for (const name of names) await jobReaches(source, name, "ready");

  context.note("RAM");
  await source.execute("migrate", { uri: `unix:${toRam}` });
  await migrationReaches(source, "pre-switchover");

  context.note("switchover");
  for (const device of names) await source.execute("block-job-cancel", { device, force: false });
  for (const name of names) {
    await jobReaches(source, name, "concluded");
    await source.execute("job-dismiss", { id: name });
    await source.execute("blockdev-del", { "node-name": `target-${name}` });
  }
  // Without this the destination would run the guest as soon as it has the RAM.
  if (await destination.status() === "inmigrate") await destination.execute("stop");
  await source.execute("migrate-continue", { state: "pre-switchover" });
  await Promise.all([
    migrationReaches(source, "completed"),
    migrationReaches(destination, "completed"),
  ]);
  await destination.execute("nbd-server-stop");
  await destination.execute("cont");
  const [stop, resume] = await Promise.all([
    source.events.waitFor("STOP at the source", (e) => e.event === "STOP"),
    destination.events.waitFor("RESUME at the destination", (e) => e.event === "RESUME"),
  ]);
  return resume.timestampMs - stop.timestampMs;
}

async function setCapabilities(qemu: Qemu, names: readonly string[]): Promise<void> {
  const capabilities = names.map((capability) => ({ capability, state: true }));
  await qemu.execute("migrate-set-capabilities", { capabilities });
}

async function jobReaches(qemu: Qemu, id: string, status: string): Promise<void> {
  await qemu.events.waitFor(
    `job ${id} to be ${status}`,
    (e) => e.event === "JOB_STATUS_CHANGE" && e.data.id === id && e.data.status === status,
  );
  const jobs = await qemu.execute<{ id: string; error?: string }[]>("query-jobs");
  const error = jobs.find((job) => job.id === id)?.error;
  if (error) throw new Error(`The mirror ${id} failed: ${error}`);
}

async function migrationReaches(qemu: Qemu, status: string): Promise<void> {
  await poll(
    `${qemu.name}: the migration to be ${status}`,
    async () => {
      const info = await qemu.execute<{ status?: string; "error-desc"?: string }>("query-migrate");
      if (info.status === "failed") throw new Error(`The migration failed: ${info["error-desc"]}`);
      return info.status === status ? true : undefined;
    },
    60_000,
    1,
  );
}
