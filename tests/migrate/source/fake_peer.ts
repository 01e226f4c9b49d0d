import type { DestinationState } from "../../../src/migrate/mod.ts";
import type { DestinationPeer } from "../../../src/migrate/source/destination_peer.ts";
import type { SessionError } from "../../../src/tunnel/mod.ts";

/** A peer over no session. */
export class FakePeer {
  state = "up";
  bytes = 0;
  /** How many calls of `abort` and `close` it got. */
  aborted = 0;
  closed = 0;
  answer: () => Promise<readonly string[]> = () => Promise.resolve([]);
  attached = (): Promise<{ state: DestinationState }> => Promise.resolve({ state: "prepared" });
  readonly #ended = Promise.withResolvers<SessionError | undefined>();
  readonly #watching = new Set<(link: { state: string }) => void>();

  get peer(): DestinationPeer {
    return this as unknown as DestinationPeer;
  }

  get session() {
    const { state, bytes } = this;
    const onLink = (watch: (link: { state: string }) => void) => {
      this.#watching.add(watch);
      return () => this.#watching.delete(watch);
    };
    return { state, bytes, ended: this.#ended.promise, onLink, first: { state, onLink } };
  }

  link(state: "up" | "down"): void {
    this.state = state;
    for (const watch of this.#watching) watch({ state });
  }

  end(cause?: SessionError): void {
    this.state = "ended";
    this.#ended.resolve(cause);
  }

  attach(): Promise<{ state: DestinationState }> {
    return this.attached();
  }

  abort(): Promise<readonly string[]> {
    this.aborted++;
    return this.answer();
  }

  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}
