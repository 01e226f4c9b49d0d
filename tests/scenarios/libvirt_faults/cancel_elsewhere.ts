import { assertExit, type Scenario } from "../support/scenario.ts";
import { cancel, endEach, type Way } from "./cancel_domain.ts";

const WAYS: readonly Way[] = [
  {
    name: "vmferry cancel at the destination",
    start: "startCopy",
    end: (_, { destination }) => cancel(destination),
    source: 1,
    destination: 5,
    reason: /^ended-by-peer: .*destination/,
  },
  {
    name: "--timeout",
    start: "startCopy",
    options: ["--timeout", "4"],
    end: () => {},
    source: 1,
    destination: 1,
    reason: /^timeout: /,
  },
];

/** Cancels at the destination, by time, and too late. */
export const scenario: Scenario = {
  name: "cancel_elsewhere",
  about: "a domain that is cancelled at the destination or by --timeout runs on at the source",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const { lab, trial } = await endEach(context, WAYS);
    trial.note("too late: the destination is starting the guest");
    const { domain, receive } = await trial.startFinish();
    for (const ferry of [domain, receive]) {
      ferry.signal("SIGINT");
      await ferry.waitEvent("warning", (e) => e.code === "too-late");
    }
    lab.destination.signalDaemon("SIGCONT");
    await assertExit(domain, 0);
    await assertExit(receive, 0, 20_000);
    await trial.assertArrived();
  },
};
