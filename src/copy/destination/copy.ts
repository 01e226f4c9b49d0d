import { type Clock, messageOf, withDeadline } from "../../io/mod.ts";
import { asMigrationError, codeFromPeer, MigrationError } from "../../migrate/mod.ts";
import { ChannelServer, type Params, type Result, RpcError, RpcPeer } from "../../rpc/mod.ts";
import { type Session, SessionError } from "../../tunnel/mod.ts";
import type { CopyHost } from "../host.ts";
import { ArrivingImage } from "./arriving_image.ts";
import { type CopyTrust, lookAtTargets, type Target } from "./look.ts";

/** How long the source may take to leave once everything has arrived, ms. */
const LEAVE_MS = 5_000;
/** How long a channel may stay open after the source's `finishCopy`, ms. */
const CLOSE_MS = 10_000;

/** The disk is full or changes what is written to it, or the image is a mixture: no later copy can continue. */
const HELPS_NOBODY: ReadonlySet<string> = new Set(["disk-full", "disk-differs", "image-changed"]);

/** What it needs. */
export interface CopyDestinationOptions {
  /** This host. */
  readonly host: CopyHost;
  /** What the source may have written. */
  readonly trust: CopyTrust;
  /** Called with the session of the source that begins a copy: a ticket is good for nobody else then. */
  readonly claimed: (session: Session) => Promise<void>;
  /** No other source can come after the first one. */
  readonly isPipe: boolean;
}

/** An image that has arrived. */
export interface ArrivedImage {
  /** Where it is. */
  readonly path: string;
  /** Bytes that it takes; `null` where unknown. */
  readonly allocatedBytes: number | null;
}

/**
 * The destination of a copy: serves sources until one has copied its images, or has begun to and failed. A source
 * that is refused can be followed by another one.
 */
export class CopyDestination {
  readonly #options: CopyDestinationOptions;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #outcome = Promise.withResolvers<readonly ArrivedImage[]>();
  #active: ActiveCopy | undefined;
  /** The session of the copy, also after its end. */
  #source: Session | undefined;
  #failure: MigrationError | undefined;
  #isOver = false;
  #sessions = new Set<Session>();

  /** Begins nothing yet. */
  constructor(options: CopyDestinationOptions) {
    this.#options = options;
    this.#clock = options.host.clock;
    this.#outcome.promise.catch(() => {});
  }

  /** A source has begun a copy. */
  get hasSource(): boolean {
    return this.#active !== undefined;
  }

  /** Bytes that crossed, both directions. */
  get bytes(): number {
    return this.#source?.bytes ?? 0;
  }

  /**
   * Resolves when all images have their names.
   *
   * @throws {MigrationError} when the copy failed; everything is undone then but what a later copy continues with.
   */
  async outcome(): Promise<readonly ArrivedImage[]> {
    return await this.#outcome.promise;
  }

  /** Serves a source. */
  serve(session: Session): void {
    this.#sessions.add(session);
    const channels = new ChannelServer(session);
    const rpc = new RpcPeer(session.rpc, {
      ...{ clock: this.#clock, log: this.#options.host.log },
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: {
        openTunnel: (params) => channels.open(params),
        prepareCopy: (params) => this.#prepare(session, channels, params),
        noteCopy: async ({ copy, channel, doneBytes }) => {
          await this.#of(session, copy).image(channel).note(doneBytes);
          return {};
        },
        hashBlocks: async ({ disk, ...range }) => {
          const active = this.#active;
          if (active?.session !== session || !active.isPrepared) throw unknownCopy();
          return (await active.image(disk).hash(range)).encode();
        },
        finishCopy: ({ copy }) => this.#finish(this.#of(session, copy)),
        abort: async (params) => {
          if (this.#active?.session === session) await this.#fail(reasonOf(params));
          return { left: null };
        },
      },
    });
    session.ended.then(async (cause) => {
      this.#sessions.delete(session);
      await channels.cut();
      await rpc.join();
      if (this.#active?.session === session) {
        const gone = cause ??
          new SessionError("closed", "The source left before its copy was done");
        await this.#fail(asMigrationError(gone, "destination"));
      } else if (this.#options.isPipe && !this.#active) {
        await this.#fail(
          new MigrationError("failed", "source-gone", "source", "The source left without a copy"),
        );
      }
    });
  }

  /** Gives up. */
  async cancel(reason: MigrationError): Promise<void> {
    if (this.#isOver) return;
    await this.#fail(reason);
    for (const session of this.#sessions) session.abort(reason.message, "stopped");
  }

  /** Waits until the sources have left. */
  async leave(): Promise<void> {
    await Promise.all([...this.#sessions].map(async (session) => {
      await withDeadline(this.#clock, LEAVE_MS, "the source to leave", session.ended)
        .catch(() => session.abort(this.#failure?.message ?? "It is over", "stopped"));
    }));
  }

  async #prepare(
    session: Session,
    channels: ChannelServer,
    params: Params<"prepareCopy">,
  ): Promise<Result<"prepareCopy">> {
    if (this.#active || this.#isOver) throw new RpcError("busy", "Another copy is under way here");
    const active = new ActiveCopy(session, params.copy, channels);
    this.#active = active;
    this.#source = session;
    try {
      const { host, trust, claimed } = this.#options;
      const look = await lookAtTargets(host, trust, params.images, params.resume);
      const { targets, problems, warnings } = look;
      if (problems.length > 0) {
        this.#active = undefined;
        return { images: [], problems: [...problems], warnings: [...warnings] };
      }
      await claimed(session);
      active.beginning = this.#begin(active, targets);
      await active.beginning;
      active.isPrepared = true;
      const images = active.images.map(({ begun }) => begun);
      return { images, problems: [], warnings: [...warnings] };
    } catch (error) {
      const failure = this.#failure ?? asMigrationError(error, "destination");
      await this.#fail(failure);
      if (failure.kind !== "refused") throw new RpcError(failure.code, failure.message);
      const { code, message } = failure;
      return { images: [], problems: [{ code, message }], warnings: [] };
    }
  }

  async #begin(active: ActiveCopy, targets: readonly Target[]): Promise<void> {
    const { signal } = this.#stop;
    for (const [i, target] of targets.entries()) {
      signal.throwIfAborted();
      const image = await ArrivingImage.begin(this.#options.host, target, `image-${i}`, signal);
      active.images.push(image);
      active.channels.serve(image.channel, () => image.connect());
    }
  }

  #of(session: Session, copy: string): ActiveCopy {
    const active = this.#active;
    if (active?.session === session && active.copy === copy && active.isPrepared) return active;
    throw unknownCopy();
  }

  async #finish(active: ActiveCopy): Promise<Result<"finishCopy">> {
    try {
      await withDeadline(this.#clock, CLOSE_MS, "the channels to close", active.channels.join());
      for (const image of active.images) await image.close();
      // All of them or none: what fails from here on leaves some with their names.
      for (const image of active.images) await image.requireName();
      this.#stop.signal.throwIfAborted();
      // From here on an end of the session undoes nothing.
      this.#isOver = true;
      const images: ArrivedImage[] = [];
      for (const image of active.images) images.push(await image.finish());
      this.#active = undefined;
      this.#outcome.resolve(images);
      return { images: images.map((image) => ({ ...image })) };
    } catch (error) {
      this.#isOver = false;
      const failure = asMigrationError(error, "destination");
      await this.#fail(failure);
      throw new RpcError(failure.code, failure.message);
    }
  }

  /** Undoes everything, once; then the outcome is known. */
  async #fail(error: MigrationError): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = error;
    this.#stop.abort(error);
    const active = this.#active;
    if (active) {
      await active.beginning?.catch(() => {});
      await active.channels.cut();
      const keep = !HELPS_NOBODY.has(error.code);
      for (const image of active.images) {
        await image.undo(keep && image.isWorthKeeping).catch((failure) =>
          this.#options.host.log.log("warning", `not undone: ${messageOf(failure)}`)
        );
      }
    }
    this.#outcome.reject(error);
  }
}

/** The copy of a source. */
class ActiveCopy {
  readonly images: ArrivingImage[] = [];
  readonly session: Session;
  readonly copy: string;
  readonly channels: ChannelServer;
  /** Its images are being created. */
  beginning: Promise<void> | undefined;
  isPrepared = false;

  constructor(session: Session, copy: string, channels: ChannelServer) {
    this.session = session;
    this.copy = copy;
    this.channels = channels;
  }

  /** @throws {RpcError} when the copy has none. */
  image(channel: string): ArrivingImage {
    const image = this.images.find((each) => each.channel === channel);
    if (image) return image;
    throw new RpcError("unknown-channel", `The copy has no channel "${channel}"`);
  }
}

function unknownCopy(): RpcError {
  return new RpcError("unknown-migration", "This end knows no such copy");
}

/** Why the source gave up. */
function reasonOf({ reason, cancelled, code, side }: Params<"abort">): MigrationError {
  if (cancelled) return new MigrationError("cancelled", "cancelled", side ?? "source", reason);
  const word = codeFromPeer(code ?? "aborted-by-source");
  return new MigrationError("failed", word.code, side ?? "source", reason, word);
}
