import { type Domain, parseDomain } from "../../libvirt/mod.ts";
import { messageOf } from "../../io/mod.ts";
import { attempt } from "./attempt.ts";
import { compareCpu } from "./compare_cpu.ts";
import { type DestinationFacts, destinationFacts } from "./destination_facts.ts";
import { chooseDisks } from "./disk_choice.ts";
import { judgeFiles } from "./file_rules.ts";
import { Collected, type Findings } from "./findings.ts";
import { type ImageFacts, imageFacts } from "./image_facts.ts";
import { judgeImages } from "./image_rules.ts";
import { machineFacts } from "./machine_facts.ts";
import { judgeCpu, judgeMachine } from "./machine_rules.ts";
import type { CheckDomainOptions, CheckedDisk, DomainCheck, DomainPlan } from "./options.ts";
import { judgeResources } from "./resource_rules.ts";
import { judgeRoom } from "./room_rules.ts";
import { sourceFacts } from "./source_facts.ts";
import { judgeDelta, judgeEnds, judgeNames } from "./source_rules.ts";

/**
 * Finds everything that would prevent the migration of a domain, and what the migration would do. Changes
 * nothing on either host.
 *
 * @throws {SessionError} when the session ends; {DeadlineError} when an end does not answer; the signal's
 * reason. Every other failure is a problem in the result.
 */
export async function checkDomain(options: CheckDomainOptions): Promise<DomainCheck> {
  const found = new Collected();
  const [source, host] = await Promise.all([
    sourceFacts(options, found),
    attempt(options.peer.describeDomainHost(options.signal), "destination", found),
  ]);
  const domain = source?.domain ?? null;
  const daemon = source?.version.daemon ?? null;
  const listed = Promise.withResolvers<DestinationFacts | undefined>();
  const pools = listed.promise.then((facts) => facts?.pools ?? null);
  for (const promise of [listed.promise, pools]) promise.catch(() => {});
  // Both begin in one turn of the event loop, and so share a virsh at the destination.
  const asked = domain && askForMove(options, { domain, daemon }, host ? pools : undefined);
  asked?.catch(() => {});
  if (host) destinationFacts(host, options, found).then(listed.resolve, listed.reject);
  else listed.resolve(undefined);
  const destination = await listed.promise;
  if (source || destination) {
    found.add(judgeEnds({
      client: source?.client ?? null,
      source: source?.version.daemon ?? null,
      sourceUuid: source?.hostUuid ?? null,
      destination: destination?.host.libvirt ?? null,
      destinationUuid: destination?.host.hostUuid ?? null,
    }));
  }
  if (options.delta) found.add(judgeDelta(options.migrate, destination?.host));
  const plan = domain && judgeMove(options, domain, destination, (await asked)!, found);
  return {
    ...{ problems: found.problems, warnings: found.warnings, notes: found.notes, domain },
    disks: plan?.disks ?? [],
    qemu: {
      source: source?.version.hypervisor?.replace(/^QEMU /, "") ?? null,
      destination: destination?.host.qemu ?? null,
    },
    plan: found.problems.length === 0 ? plan?.plan ?? null : null,
  };
}

/** The answers that a move needs, and what they show; of use where the destination's libvirt answers. */
interface AskedForMove {
  /** The domain as the destination gets it. */
  readonly there: Domain | undefined;
  readonly facts: ImageFacts;
  /** In the order of the report. */
  readonly found: readonly [there: Findings, images: Findings, machines: Findings];
}

/** @param pools those of the destination; `undefined` where it does not answer. */
async function askForMove(
  options: CheckDomainOptions,
  { domain, daemon }: { readonly domain: Domain; readonly daemon: string | null },
  pools: Promise<DestinationFacts["pools"]> | undefined,
): Promise<AskedForMove> {
  const [onThere, onImages, onMachines] = [new Collected(), new Collected(), new Collected()];
  const found = [onThere, onImages, onMachines] as const;
  const { migrate, reuse, shared } = options;
  const there = migrate.xmlFile === null
    ? domain
    : await domainThere(options, migrate.xmlFile, onThere);
  if (!there || !pools) return { there, facts: { copied: [], needed: [] }, found };
  const roles = chooseDisks(domain.disks, { reuse, shared, migrateDisks: migrate.migrateDisks });
  const [, facts] = await Promise.all([
    attempt(judgeMachines(options, there, onMachines), "destination", onMachines),
    imageFacts(domain, roles, { ...options, there, daemon, pools }, onImages),
  ]);
  return { there, facts, found };
}

function judgeMove(
  options: CheckDomainOptions,
  domain: Domain,
  destination: DestinationFacts | undefined,
  asked: AskedForMove,
  found: Collected,
): { readonly plan: DomainPlan; readonly disks: readonly CheckedDisk[] } | null {
  const { migrate, reuse, shared } = options;
  const { migrateDisks, copy } = migrate;
  found.add(chooseDisks(domain.disks, { reuse, shared, migrateDisks }).findings);
  const { there, facts } = asked;
  const [onThere, ...others] = asked.found;
  found.add(onThere);
  if (!destination || !there) return null;
  const nameThere = migrate.destinationName ?? there.name;
  found.add(judgeNames({ name: nameThere, uuid: domain.uuid }, destination.domains));
  found.add(judgeResources({
    interfaces: there.networks,
    networks: destination.networks,
    hostInterfaces: destination.host.interfaces,
    volumes: there.disks.flatMap(({ target, pool }) => pool === null ? [] : [{ target, pool }]),
    pools: destination.pools,
  }));
  for (const findings of others) found.add(findings);
  const { images, findings: onImages } = judgeImages(facts.copied, { reuse, copy });
  found.add(onImages);
  found.add(judgeRoom(facts.copied));
  found.add(judgeFiles(facts.needed, domain.name));
  const copied = facts.copied.map(({ name }) => name);
  return {
    disks: facts.copied.map(({ name, format, image }) => ({
      ...{ name, format, sizeBytes: image.sizeBytes },
    })),
    plan: {
      ...{ domain, nameThere, host: destination.host, images, copied, owner: there.staticOwner },
      totalBytes: images.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      copyStorage: copied.length === 0 ? null : copy,
    },
  };
}

/** The domain of `--xml`, as the destination gets it. */
async function domainThere(
  { files }: CheckDomainOptions,
  xmlFile: string,
  found: Collected,
): Promise<Domain | undefined> {
  try {
    return parseDomain(await files.readText(xmlFile));
  } catch (error) {
    found.problem(
      "source",
      "option-refused",
      `--xml ${xmlFile}: expected a domain's XML ('virsh dumpxml --migratable'): ${
        messageOf(error)
      }`,
    );
    return undefined;
  }
}

async function judgeMachines(
  options: CheckDomainOptions,
  there: Domain,
  found: Collected,
): Promise<void> {
  const comparing = compareCpu(there, options);
  comparing.catch(() => {});
  const facts = await machineFacts(there, options.destination, options.signal);
  const onMachine = judgeMachine(facts);
  found.add(onMachine);
  // libvirt compares CPUs for a machine that it has.
  if (onMachine.problems.length > 0) return;
  const comparison = await comparing;
  const unsafe = options.migrate.pass.includes("--unsafe");
  found.add(judgeCpu({ mode: there.cpuMode, comparison, unsafe }));
}
