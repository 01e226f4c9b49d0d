/**
 * What a launch makes on this host, with everything checked again: what `describeLaunchFiles` said may have
 * changed, and the source may not have asked. Changes nothing.
 *
 * @module
 */
import { directoryOf, isPlainPath } from "../../host/mod.ts";
import { type ErrorCode, MigrationError } from "../../migrate/mod.ts";
import type { LaunchStart, Params } from "../../rpc/mod.ts";
import { confinedDirectory, resolvePaths } from "./rules/allow.ts";
import { readStart, startRefusals } from "./rules/arguments.ts";
import { bootUnitFaults } from "./rules/boot_unit.ts";
import { findBinary, hostFacts } from "./describe/describe_host.ts";
import { type Fault, fileFaults, missingDirectories } from "./rules/file_faults.ts";
import type { LaunchHost } from "./host.ts";
import { keptName } from "./kept_name.ts";
import { launchName } from "./names.ts";
import type { LaunchTrust } from "./options.ts";
import { findOwner, type Owner } from "./rules/owner.ts";
import type { LaunchRecord, MadeKind, MadeRecord } from "./record.ts";
import { chooseLog, chooseUnit } from "./rules/free_names.ts";
import { siteFaults } from "./rules/site_faults.ts";
import { madeByQemu, madePaths, socketFaults } from "./rules/socket_faults.ts";

/** A launch that can be carried out. */
export interface LaunchPlan {
  readonly params: Params<"prepareLaunch">;
  /** The first record: nothing is made yet. */
  readonly record: LaunchRecord;
  readonly start: LaunchStart;
  /** Path of the binary and its arguments. */
  readonly argv: readonly string[];
  /** The user and group of QEMU, which own what is created; `null`: this user's. */
  readonly owner: Owner | null;
}

/**
 * Plans it.
 *
 * @throws {MigrationError} kind `refused`, with every problem; code of the first.
 */
export async function planLaunch(
  host: LaunchHost,
  trust: LaunchTrust,
  wanted: Params<"prepareLaunch">,
): Promise<LaunchPlan> {
  const faults: Fault[] = [...plainPathFaults(wanted)];
  if (faults.length > 0) throw refusalOf(faults);
  const { cwd } = wanted.start;
  const start = {
    ...wanted.start,
    cwd: confinedDirectory(trust, cwd, await resolvePaths(host, [cwd])),
  };
  const params = { ...wanted, start };
  const { migration, guest } = params;
  if (host.site) return await planSite(host, trust, params);
  const read = readStart(start);
  if ("problems" in read) faults.push(...coded("not-launchable", read.problems));
  // The other checks take paths apart.
  if (faults.length > 0 || "problems" in read) throw refusalOf(faults);

  const binary = start.argv[0]!;
  const [facts, found, places, owner] = await Promise.all([
    hostFacts(host),
    findBinary(host.run, trust, binary.slice(binary.lastIndexOf("/") + 1), binary),
    resolvePaths(host, [...pathsIn(params), ...read.paths.map(({ path }) => path)]),
    findOwner(host, start.user ?? start.owner),
  ]);
  if ("problem" in owner) faults.push(...coded("host-unfit", [owner.problem]));
  faults.push(...coded("launch-not-allowed", startRefusals(trust, read, start, places)));
  if (found === undefined) {
    const message = `${binary} is not there, or is no program. Install it at the destination`;
    faults.push({ code: "host-unfit", message });
  }
  const unitsMatter = start.manager === "systemd" || start.persist;
  if (start.persist && !facts.systemd) {
    const message = "--persist needs systemd, which does not run at the destination, or does not " +
      `start units of ${host.user.name} at boot. Leave --persist out`;
    faults.push({ code: "host-unfit", message });
  }
  faults.push(...await fileFaults(host, trust, params, places));
  faults.push(...await socketFaults(host, read, start));
  const name = launchName(guest.name, guest.uuid, migration);
  if (start.persist) {
    faults.push(...await bootUnitFaults(host, await keptName(host, { record: { name }, params })));
  }
  if (faults.length > 0 || found === undefined || "problem" in owner) throw refusalOf(faults);

  const useUnit = unitsMatter && facts.systemd;
  const unit = useUnit ? await chooseUnit(host, name, migration) : null;
  const files = useUnit ? null : await chooseLog(host, name, migration);
  return {
    ...{ params, start, owner: owner.owner, argv: [found, ...start.argv.slice(1)] },
    record: {
      ...{ version: 1, side: "launch", state: "preparing", mayHaveGuest: false },
      ...{ migration, name, qmp: start.qmp, log: files?.log ?? null },
      qemu: { unit, pidFile: files?.pidFile ?? null },
      reused: params.reuse.map(({ path }) => path),
      made: await planMade(host, params, madePaths(read), files),
    },
  };
}

/** The same where commands of the user start QEMU: the source's command line does not count. */
async function planSite(
  host: LaunchHost,
  trust: LaunchTrust,
  params: Params<"prepareLaunch">,
): Promise<LaunchPlan> {
  const { migration, guest, start } = params;
  const [places, owner] = await Promise.all([
    resolvePaths(host, pathsIn(params)),
    findOwner(host, start.user ?? start.owner),
  ]);
  const site = { ...host.site!, guest };
  const faults: Fault[] = [
    ...("problem" in owner ? coded("host-unfit", [owner.problem]) : []),
    ...await siteFaults(host, trust, start, places, site),
    ...await fileFaults(host, trust, params, places),
  ];
  if (faults.length > 0 || "problem" in owner) throw refusalOf(faults);
  return {
    ...{ params, start, owner: owner.owner, argv: [] },
    record: {
      ...{ version: 1, side: "launch", state: "preparing", mayHaveGuest: false },
      ...{ migration, name: launchName(guest.name, guest.uuid, migration), qmp: start.qmp },
      ...{ log: null, qemu: { unit: null, pidFile: null, site } },
      reused: params.reuse.map(({ path }) => path),
      made: await planMade(host, params, [start.qmp], null),
    },
  };
}

async function planMade(
  host: LaunchHost,
  { directories, images, copies }: Params<"prepareLaunch">,
  byQemu: readonly string[],
  files: { readonly log: string; readonly pidFile: string } | null,
): Promise<MadeRecord[]> {
  const needed = [
    ...directories,
    ...[...images, ...copies].map(({ path }) => directoryOf(path)),
    ...(files === null ? [] : [directoryOf(files.log)]),
  ];
  return [
    ...(await missingDirectories(host, needed)).map((path) => made("directory", path)),
    ...images.map(({ path }) => made("image", path)),
    ...copies.map(({ path }) => made("copy", path, temporaryOf(path))),
    ...(files === null ? [] : [made("log", files.log), made("pid", files.pidFile)]),
    ...await madeByQemu(host, byQemu),
  ];
}

function made(kind: MadeKind, path: string, temporary: string | null = null): MadeRecord {
  return { kind, path, temporary, begunAt: null, identity: null };
}

/** A copy arrives under this name, in the same directory. */
function temporaryOf(path: string): string {
  return `${directoryOf(path).replace(/\/$/, "")}/.vmferry-${crypto.randomUUID()}`;
}

/** Every path of a call but those of its command line. */
function pathsIn({ directories, images, copies, reuse, start }: Params<"prepareLaunch">): string[] {
  return [
    ...directories,
    ...[...images, ...copies, ...reuse].map(({ path }) => path),
    ...images.flatMap(({ backing }) => backing === null ? [] : [backing.path]),
    ...[start.cwd, start.qmp],
  ];
}

function* plainPathFaults(params: Params<"prepareLaunch">): Generator<Fault> {
  const { images, copies, reuse, start } = params;
  for (const path of pathsIn(params)) {
    if (isPlainPath(path) || path === start.cwd && path === "/") continue;
    yield { code: "host-unfit", message: `"${path}" is no absolute path without ".."` };
  }
  const seen = new Set<string>();
  for (const { path } of [...images, ...copies, ...reuse]) {
    if (seen.has(path)) {
      yield { code: "image-in-use", message: `Two files of the guest have the path ${path}` };
    }
    seen.add(path);
  }
}

function coded(code: ErrorCode, messages: readonly string[]): Fault[] {
  return messages.map((message) => ({ code, message }));
}

function refusalOf(faults: readonly Fault[]): MigrationError {
  const problems = faults.map(({ message }) => message);
  const code = faults[0]?.code ?? "host-unfit";
  return new MigrationError("refused", code, "destination", problems.join("; "), { problems });
}
