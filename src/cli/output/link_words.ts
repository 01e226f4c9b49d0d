import { formatSeconds } from "../args/size.ts";
import type { LinkState } from "./events.ts";

/** How the connections of a session are, for people: `2 of 4 connections lost, reconnecting, 42 s left`. */
export function linkWords({ state, graceLeft, connections }: LinkState): string {
  if (state === "up") {
    return connections ? `all ${connections.of} connections are back` : "connection is back";
  }
  const lost = connections
    ? `${connections.down} of ${connections.of} connections lost`
    : "connection lost";
  return `${lost}, reconnecting, ${formatSeconds(graceLeft ?? 0)} left`;
}
