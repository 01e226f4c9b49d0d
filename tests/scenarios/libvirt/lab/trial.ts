/**
 * Migrations of one domain that a scenario disturbs: both vmferrys over TCP, and what must hold whatever
 * happens to them.
 *
 * @module
 */
import { delay, systemClock } from "../../../../src/io/mod.ts";
import type { HostState } from "../../support/host.ts";
import { assertExit, type ScenarioContext } from "../../support/scenario.ts";
import { allMove } from "../../support/vmferry.ts";
import { poll } from "../../support/waiting.ts";
import type { RingDomain } from "./domain.ts";
import { assertAsBefore, hostState } from "./host_state.ts";
import type { HostVmferry } from "../../support/host_vmferry.ts";
import type { LibvirtHost } from "./host.ts";
import type { LibvirtLab } from "./lab.ts";
import { Witness } from "./witness.ts";

/** Both ends of one try. */
export interface Try {
  readonly receive: HostVmferry;
  readonly domain: HostVmferry;
}

/** MiB/s over the cable: a copy takes some seconds, RAM too. */
const RATE = 16;
/** The same while RAM crosses: the guest's RAM is small. */
const RAM_RATE = 3;

/** The call that asks libvirtd to start the guest has more bytes than this, a keepalive message has fewer. */
const FINISH_BYTES = 1000;

/** Tries with one domain. Each is to be disturbed; the last one is to succeed. */
export class Trial {
  readonly #context: ScenarioContext;
  readonly #lab: LibvirtLab;
  readonly #domain: RingDomain;
  readonly #options: readonly string[];
  readonly #before: { readonly host: LibvirtHost; readonly state: HostState }[];
  readonly #witness: Witness;
  #number = 0;

  /**
   * Notes both hosts' states, and begins to look whether the domain runs twice.
   *
   * @param options of vmferry at both ends.
   */
  static async begin(
    context: ScenarioContext,
    lab: LibvirtLab,
    domain: RingDomain,
    options: readonly string[] = ["--grace", "3", "--dead-after", "1"],
  ): Promise<Trial> {
    const hosts = [lab.source, lab.destination];
    const before = await Promise.all(
      hosts.map(async (host) => ({ host, state: await hostState(host) })),
    );
    await Deno.writeTextFile(`${context.dir}/secret`, crypto.randomUUID(), { mode: 0o600 });
    const witness = context.use(new Witness(lab, domain.name));
    return new Trial(context, lab, domain, options, before, witness);
  }

  private constructor(
    context: ScenarioContext,
    lab: LibvirtLab,
    domain: RingDomain,
    options: readonly string[],
    before: { readonly host: LibvirtHost; readonly state: HostState }[],
    witness: Witness,
  ) {
    this.#context = context;
    this.#lab = lab;
    this.#domain = domain;
    this.#options = options;
    this.#before = before;
    this.#witness = witness;
  }

  /**
   * Starts both ends.
   *
   * @param extra options of the source.
   * @param options of both ends. Default: the trial's.
   */
  async start(
    extra: readonly string[] = [],
    options: readonly string[] = this.#options,
  ): Promise<Try> {
    const receive = this.receive(undefined, options);
    return { receive, domain: this.domain(await receive.address(), extra, options) };
  }

  /** Starts the destination, at a free port where no address is given. */
  receive(
    address = `tcp://${this.#lab.destination.address}:0`,
    options: readonly string[] = this.#options,
  ): HostVmferry {
    const args = ["receive", "--libvirt", "--listen", address];
    return this.#lab.destination.vmferry({
      name: `receive ${++this.#number}`,
      args: [...args, ...this.#common(), ...options],
    });
  }

  /** Starts the source. */
  domain(
    address: string,
    extra: readonly string[] = [],
    options: readonly string[] = this.#options,
  ): HostVmferry {
    return this.#lab.source.vmferry({
      name: `domain ${this.#number}`,
      args: ["domain", this.#domain.name, address, ...this.#common(), ...options, ...extra],
    });
  }

  /** Starts both ends over a slow cable, and waits until every disk is being copied. */
  async startCopy(extra: readonly string[] = []): Promise<Try> {
    await this.#lab.limitRate(RATE);
    const ends = await this.start(extra);
    await waitCopy(ends.domain);
    return ends;
  }

  /** Starts both ends, and waits until RAM crosses, slowly from then on. */
  async startRam(extra: readonly string[] = []): Promise<Try> {
    await this.#lab.limitRate(2 * RATE);
    const ends = await this.start(extra);
    await this.waitRam(ends);
    return ends;
  }

  /** Waits until RAM crosses, and slows it down. The destination is the first to see it. */
  async waitRam({ domain, receive }: Try): Promise<void> {
    await receive.waitEvent("phase", (e) => e.phase === "ram");
    await this.#lab.limitRate(RAM_RATE);
    await domain.waitEvent("progress", (e) => e.phase === "ram");
  }

  /**
   * Starts both ends, and waits until the destination's libvirt has been asked to start the guest
   * (`Finish`) and does not answer: its daemon is stopped (SIGSTOP) until its SIGCONT.
   */
  async startFinish(extra: readonly string[] = []): Promise<Try> {
    const ends = await this.startRam(extra);
    this.#lab.destination.signalDaemon("SIGSTOP");
    await this.#lab.limitRate(null);
    await ends.domain.waitEvent("phase", (e) => e.phase === "handover");
    const { destination } = this.#lab;
    await poll("Finish to reach the destination's libvirtd", async () => {
      const { stdout } = await destination.run(["ss", "-Hxn", "state", "established"]);
      return unread(stdout).some((bytes) => bytes > FINISH_BYTES) || undefined;
    });
    return ends;
  }

  /** A note in the report of a failure. */
  note(text: string): void {
    this.#context.note(text);
  }

  /** The source has the guest, running; nothing of a migration is left on either host. */
  async assertAsBefore(): Promise<void> {
    await this.#domain.assertRunsOnlyOn(this.#lab.source);
    for (const { host, state } of this.#before) await assertAsBefore(host, state);
    this.#witness.assertNeverTwice();
  }

  /** Waits until the source's guest runs (after a kill libvirt takes a moment to cancel), and only there. */
  async assertRunsAtSource(): Promise<void> {
    const { source, destination } = this.#lab;
    const { name } = this.#domain;
    await poll(
      `only the source to have ${name}`,
      async () => {
        const [here, there] = await Promise.all([source.domains(), destination.domains()]);
        return here.get(name) === "running" && !there.has(name) || undefined;
      },
      30_000,
      200,
    );
    await this.#domain.assertRunsOnlyOn(source);
    this.#witness.assertNeverTwice();
  }

  /** Tries once more over a fast cable: the domain moves, and every write with it. */
  async assertNextWorks(): Promise<void> {
    this.note("the next try");
    await this.#lab.limitRate(null);
    // Impatient ends could give a slow host up.
    const { receive, domain } = await this.start([], []);
    await assertExit(domain, 0);
    await assertExit(receive, 0, 20_000);
    await this.assertArrived();
  }

  /** Starts a `receive`, which settles what those before it have kept because no source told them the end. */
  async settleKept(): Promise<void> {
    const receive = this.receive();
    await receive.address();
    receive.signal("SIGTERM");
    await receive.exit(20_000);
  }

  /** The destination has the guest with every write, and nothing of vmferry is left. */
  async assertArrived(): Promise<void> {
    const { destination } = this.#lab;
    const { name } = this.#domain;
    this.#witness.assertNeverTwice();
    await this.#domain.assertRunsOnlyOn(destination);
    const guest = new RegExp(`${name}|qemu-system|/run/libvirt/qemu/|channel|run/libvirt$`);
    const but = new RegExp(`^(?!.*vmferry).*(${guest.source})`);
    for (const { host, state } of this.#before) await assertAsBefore(host, state, but);
    await this.#domain.assertArrived(destination);
    this.#witness.assertNeverTwice();
  }

  #common(): string[] {
    const secret = `${this.#context.dir}/secret`;
    return ["--json", "--secret-file", secret, "--insecure"];
  }
}

/** How many bytes libvirtd has not read yet, of each of its clients, in the output of ss. */
function unread(table: string): number[] {
  return table.split("\n").filter((row) => row.includes(" /run/libvirt/libvirt-sock "))
    .map((row) => Number(row.trim().split(/\s+/)[1]));
}

/** Waits until every disk is being copied. */
export async function waitCopy(domain: HostVmferry): Promise<void> {
  await domain.waitEvent("progress", (e) => e.phase === "mirror" && allMove(e));
}

/** Waits until a vmferry that was killed is gone. */
export async function assertKilled(ferry: HostVmferry): Promise<void> {
  await assertExit(ferry, 128 + 9, 10_000);
}

/** Lets some time pass in which something must not happen, or a fault must last. */
export async function pass(ms: number): Promise<void> {
  await delay(systemClock, ms);
}
