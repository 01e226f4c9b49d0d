import type { Clock } from "../../io/mod.ts";
import type { Connections, Report } from "../../migrate/mod.ts";
import type { Session } from "../../tunnel/mod.ts";

/** Interval of the events while the connection is down, ms. */
const EVERY_MS = 1000;

/** Interval of the events about the traffic, ms. */
const TRAFFIC_MS = 500;

/**
 * Reports the version of the peer, how much crosses, when a connection of the session is lost and when it is
 * back; in between, each second, the time until the session is given up.
 */
export class LinkEvents {
  readonly #report: Report;
  readonly #clock: Clock;
  #attempt = 0;

  constructor(report: Report, clock: Clock) {
    this.#report = report;
    this.#clock = clock;
  }

  /** An attempt to reconnect has begun. */
  readonly onAttempt = (attempt: number): void => {
    this.#attempt = attempt;
  };

  /** Watches a session until its end. */
  watch(session: Session): void {
    this.#report({ event: "session", peerVersion: session.peer.version });
    const stopTraffic = this.#traffic(session);
    let stop = () => {};
    let isHinted = false;
    const tell = () => {
      const graceLeft = Math.ceil(session.graceLeftMs / 1000);
      const attempt = this.#attempt;
      this.#report({ event: "link", state: "down", attempt, graceLeft, ...connections(session) });
      stop = this.#clock.after(EVERY_MS, tell);
    };
    session.onLink(({ state, hint }) => {
      stop();
      // Without grace the session ends with its connection and reports that itself.
      if (session.graceMs === 0) return;
      if (state === "down") {
        this.#attempt = 0;
        tell();
        if (hint === undefined || isHinted) return;
        isHinted = true;
        this.#report({ event: "warning", code: "small-packets-only", message: hint });
      } else {
        const attempt = this.#attempt;
        this.#report({
          ...{ event: "link", state: "up", attempt, graceLeft: null } as const,
          ...connections(session),
        });
      }
    });
    session.ended.then(() => {
      stop();
      stopTraffic();
    });
  }

  /** Returns what ends the events. */
  #traffic(session: Session): () => void {
    const tell = () => {
      const rtt = session.lastRttMs;
      const rttMs = rtt === undefined ? null : Math.round(rtt * 100) / 100;
      this.#report({ event: "traffic", bytes: session.bytes, rttMs });
      stop = this.#clock.after(TRAFFIC_MS, tell);
    };
    let stop = this.#clock.after(TRAFFIC_MS, tell);
    return () => stop();
  }
}

function connections({ lanes, lanesDown }: Session): { readonly connections?: Connections } {
  return lanes.length === 1 ? {} : { connections: { down: lanesDown, of: lanes.length } };
}
