/**
 * Migration settings that somebody may have left in a QEMU: all that a QEMU of 7.2, 10.0 or 11.1 has,
 * each with a value that is not its default.
 *
 * @module
 */
import { messageOf } from "../../../src/io/mod.ts";
import type { Qemu } from "../support/qemu.ts";

/** A setting with what QEMU wants to be set with it. */
export interface LeftSetting {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly parameters: Readonly<Record<string, unknown>>;
}

export const LEFT_CAPABILITIES: readonly LeftSetting[] = [
  ...["auto-converge", "background-snapshot", "block", "compress", "dirty-bitmaps", "dirty-limit"],
  ...["events", "late-block-activate", "mapped-ram", "multifd", "pause-before-switchover"],
  ...["postcopy-blocktime", "postcopy-ram", "rdma-pin-all", "release-ram", "return-path"],
  ...["validate-uuid", "x-colo", "x-ignore-shared", "xbzrle", "zero-blocks"],
].map((name) => capability(name)).concat([
  capability("postcopy-preempt", "postcopy-ram"),
  capability("switchover-ack", "return-path"),
  capability("zero-copy-send", "multifd"),
]);

export const LEFT_PARAMETERS: readonly LeftSetting[] = [
  parameter("announce-initial", 1),
  parameter("announce-max", 1),
  parameter("announce-rounds", 1),
  parameter("announce-step", 1),
  parameter("avail-switchover-bandwidth", 1),
  parameter("block-bitmap-mapping", [{ "node-name": "nowhere", alias: "n", bitmaps: [] }]),
  parameter("block-incremental", true),
  parameter("compress-level", 9),
  parameter("compress-threads", 1),
  parameter("compress-wait-thread", false),
  parameter("cpr-exec-command", ["/bin/false"]),
  parameter("cpu-throttle-increment", 99, "auto-converge"),
  parameter("cpu-throttle-initial", 99, "auto-converge"),
  parameter("cpu-throttle-tailslow", true, "auto-converge"),
  parameter("decompress-threads", 1),
  parameter("direct-io", true),
  parameter("downtime-limit", 0),
  parameter("max-bandwidth", 1),
  parameter("max-cpu-throttle", 1),
  parameter("max-postcopy-bandwidth", 1),
  parameter("mode", "cpr-reboot"),
  parameter("mode", "cpr-transfer"),
  parameter("mode", "cpr-exec"),
  parameter("multifd-channels", 8, "multifd"),
  parameter("multifd-compression", "zlib", "multifd"),
  parameter("multifd-qatzip-level", 9, "multifd"),
  parameter("multifd-zlib-level", 9, "multifd"),
  parameter("multifd-zstd-level", 20, "multifd"),
  parameter("throttle-trigger-threshold", 1),
  parameter("tls-authz", "nobody"),
  parameter("tls-creds", "none-such"),
  parameter("tls-hostname", "example.org"),
  parameter("vcpu-dirty-limit", 100),
  parameter("x-checkpoint-delay", 1),
  parameter("x-rdma-chunk-size", 1 << 21),
  parameter("x-vcpu-dirty-limit-period", 1),
  parameter("xbzrle-cache-size", 4096, "xbzrle"),
  parameter("zero-page-detection", "none"),
  parameter("zero-page-detection", "legacy"),
];

/** Leaves settings in a QEMU, and looks whether they are there. */
export function setting(qemu: Qemu) {
  let before: Record<string, unknown> = {};
  let remembered: readonly Values[] = [];
  let fresh: readonly Values[] = [];
  return {
    /** @returns why this QEMU does not take them. */
    async leave(left: readonly LeftSetting[]): Promise<string | undefined> {
      try {
        before = await qemu.execute("query-migrate-parameters");
        for (const { parameters } of left) await qemu.execute("migrate-set-parameters", parameters);
        await switchTo(qemu, left, true);
        return undefined;
      } catch (error) {
        return `not taken by this QEMU: ${messageOf(error)}`;
      }
    },
    /** Throws unless they are as they were left. */
    async assertLeft(left: readonly LeftSetting[]): Promise<void> {
      const [capabilities, parameters] = await Promise.all([
        qemu.execute<Capability[]>("query-migrate-capabilities"),
        qemu.execute<Record<string, unknown>>("query-migrate-parameters"),
      ]);
      const wrong = left.flatMap((one) => [
        ...one.capabilities.filter((name) =>
          !capabilities.some(({ capability, state }) => capability === name && state)
        ),
        ...Object.entries(one.parameters)
          .filter(([name, value]) => JSON.stringify(parameters[name]) !== JSON.stringify(value))
          .map(([name]) => `${name} is ${JSON.stringify(parameters[name])}`),
      ]);
      if (wrong.length > 0) throw new Error(`${qemu.name}: not put back: ${wrong.join(", ")}`);
    },
    /** Names of all capabilities and parameters of this QEMU. */
    async names(): Promise<Set<string>> {
      const [capabilities, parameters] = await values(qemu);
      return new Set([...Object.keys(capabilities), ...Object.keys(parameters)]);
    },
    /** Remembers all values, for {@link assertRemembered}. */
    async remember(): Promise<void> {
      remembered = await values(qemu);
    },
    /** Leaves as many settings as QEMU accepts one after the other. @returns their names. */
    async leaveAll(order: readonly LeftSetting[]): Promise<Set<string>> {
      fresh = await values(qemu);
      const names = new Set<string>();
      for (const one of order) {
        if (await this.leave([one]) === undefined) names.add(one.name);
      }
      return names;
    },
    /** Undoes {@link leaveAll}. Parameters that QEMU cannot unset stay. */
    async reset(): Promise<void> {
      const [capabilities, parameters] = fresh;
      const list = Object.entries(capabilities!).map(([capability, state]) => ({
        capability,
        state,
      }));
      // First: mapped-ram forbids every change of a parameter while one has another value than it allows.
      await qemu.execute("migrate-set-capabilities", { capabilities: list });
      await qemu.execute("migrate-set-parameters", parameters!);
    },
    /** Throws unless all values are the remembered ones. */
    async assertRemembered(): Promise<void> {
      const now = await values(qemu);
      const wrong = remembered.flatMap((kind, i) =>
        Object.entries(kind)
          .filter(([name, value]) => JSON.stringify(now[i]![name]) !== JSON.stringify(value))
          .map(([name, value]) => `${name} is ${JSON.stringify(now[i]![name])}, not ${value}`)
      );
      if (wrong.length > 0) throw new Error(`${qemu.name}: not restored: ${wrong.join(", ")}`);
    },
    /** Sets them as they were at first. */
    async clear(left: readonly LeftSetting[]): Promise<void> {
      await switchTo(qemu, left, false);
      const names = left.flatMap(({ parameters }) => Object.keys(parameters));
      const known = names.filter((name) => name in before).map((name) => [name, before[name]]);
      await qemu.execute("migrate-set-parameters", Object.fromEntries(known));
    },
  };
}

type Values = Readonly<Record<string, unknown>>;

/** All capabilities, and all parameters that QEMU shows. */
async function values(qemu: Qemu): Promise<[capabilities: Values, parameters: Values]> {
  const [capabilities, parameters] = await Promise.all([
    qemu.execute<Capability[]>("query-migrate-capabilities"),
    qemu.execute<Values>("query-migrate-parameters"),
  ]);
  return [Object.fromEntries(capabilities.map((c) => [c.capability, c.state])), parameters];
}

interface Capability {
  readonly capability: string;
  readonly state: boolean;
}

async function switchTo(
  qemu: Qemu,
  left: readonly LeftSetting[],
  state: boolean,
): Promise<void> {
  const names = new Set(left.flatMap(({ capabilities }) => capabilities));
  if (names.size === 0) return;
  const capabilities = [...names].map((capability) => ({ capability, state }));
  await qemu.execute("migrate-set-capabilities", { capabilities });
}

function capability(name: string, ...needed: string[]): LeftSetting {
  return { name, capabilities: [...needed, name], parameters: {} };
}

function parameter(name: string, value: unknown, ...needed: string[]): LeftSetting {
  const label = typeof value === "string" ? `${name}=${value}` : name;
  return { name: label, capabilities: needed, parameters: { [name]: value } };
}
