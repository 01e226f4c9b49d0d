import { messageOf } from "../../io/mod.ts";
import {
  blockJob,
  domainState,
  findDomain,
  hostVersion,
  jobInfo,
  type ListedDomain,
  parseDomain,
  RememberingVirsh,
  type Virsh,
} from "../../libvirt/mod.ts";
import type { DomainMigrationOptions } from "./options.ts";

/** How long the answers hold, ms. */
const HOLD_MS = 3_000;

/** What a look needs. */
export type EarlyLookOptions =
  & Pick<
    DomainMigrationOptions,
    "name" | "uri" | "clock" | "log" | "signal"
  >
  & { readonly host: Pick<DomainMigrationOptions["host"], "run"> };

/**
 * Asks libvirt what the preparation is going to ask, while the session is made. A question that fails
 * here is asked again, and judged, where its answer is needed.
 */
export class EarlyLook {
  readonly #options: EarlyLookOptions;
  readonly #virsh: Virsh;
  readonly #until: number;
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<void>;
  #found: ListedDomain | undefined;

  /** Begins to ask. */
  constructor(options: EarlyLookOptions) {
    const { clock, log } = this.#options = options;
    this.#virsh = this.#newVirsh();
    this.#until = clock.now() + HOLD_MS;
    this.ended = this.#look()
      .catch((error) => log.log("debug", `early look: ${messageOf(error)}`));
  }

  /** The domain, once libvirt has named it. */
  get found(): ListedDomain | undefined {
    return this.#found;
  }

  /** A virsh that knows the answers; one that knows none where the session took long. */
  get virsh(): Virsh {
    return this.#options.clock.now() < this.#until ? this.#virsh : this.#newVirsh();
  }

  #newVirsh(): Virsh {
    const { host, uri } = this.#options;
    return new RememberingVirsh({ run: host.run, uri });
  }

  async #look(): Promise<void> {
    const { name, signal } = this.#options;
    const virsh = this.#virsh;
    const [domain] = await Promise.all([
      findDomain(virsh, name, { signal }),
      hostVersion(virsh, { signal }),
      virsh.ask(["capabilities"], { signal }),
    ]);
    this.#found = domain;
    if (!domain?.active) return;
    const { uuid } = domain;
    const [xml] = await Promise.all([
      virsh.ask(["dumpxml", "--domain", uuid], { signal }),
      domainState(virsh, uuid, { signal }),
      jobInfo(virsh, uuid, { signal }),
    ]);
    const disks = parseDomain(xml).disks.filter(({ device }) => device !== "cdrom");
    await Promise.all(disks.map(({ target }) => blockJob(virsh, uuid, target, { signal })));
  }
}
