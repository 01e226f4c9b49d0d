import type { Clock, Logger } from "../../io/mod.ts";
import type { Report } from "../../migrate/mod.ts";
import type { Params } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { DestinationHost } from "./host.ts";
import type { DomainJournal } from "./record.ts";

/** What the destination of a domain needs. */
export interface DomainDestinationOptions {
  /** This host. */
  readonly host: DestinationHost;
  /** Where libvirt may listen, in the order of preference. */
  readonly libvirtSockets: readonly string[];
  /** Where the effects on this host are recorded. */
  readonly journal: DomainJournal;
  /** The command that shows and finishes the migration at this end. */
  readonly recoverCommand: string;
  /** A source begins its migration in `session`: no other may begin one. */
  readonly claimed: (session: Session) => Promise<void>;
  /** The migrations of other processes of this host. */
  readonly others: OtherMigrations;
  /** Gets the events. */
  readonly report: Report;
  /** The time. */
  readonly clock: Clock;
  /** Gets diagnostics. */
  readonly log: Logger;
}

/** The migrations of other `receive --libvirt` of this host and user, running or killed. */
export interface OtherMigrations {
  /** Has those of a domain give up, as far as they still can: their source has come here. */
  fence(uuid: string): Promise<void>;
  /** Whether a killed one, or one whose source never heard of its end, had the guest running here. */
  hasRun(uuid: string): Promise<boolean>;
  /** Forgets those of a domain that had the guest running here: it has come back to a source since. */
  forgetArrived(uuid: string): Promise<void>;
  /** Settles one by its source's word, once its process has ended. Resolves with what is left. */
  settle(params: Params<"settleDomain">): Promise<readonly string[]>;
}
