import { assertFails, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { beginSmall } from "./finish_lost.ts";
import { LibvirtLab, pass } from "../libvirt/lab/mod.ts";

/** The answer to Perform has more bytes than this; keepalive messages, which wait beside it, have fewer. */
const ANSWER_BYTES = 500;

/** The session is lost for good after the guest was paused, and before the destination may start it. */
export const scenario: Scenario = {
  name: "finish_unsent",
  about: "a guest runs on at the source when the destination is never asked to start it",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    await callLost(context, lab, "vm1");
  },
};

/** The destination's libvirt is never asked to start the guest. */
async function callLost(context: ScenarioContext, lab: LibvirtLab, name: string): Promise<void> {
  const { source } = lab;
  const trial = await beginSmall(context, lab, name);
  const { domain, receive } = await trial.startRam();
  trial.note("virsh is stopped between Perform and Finish");
  await source.run(["pkill", "-STOP", "-f", "[v]irsh.* migrate "]);
  await lab.limitRate(null);
  await domain.waitEvent("phase", (e) => e.phase === "switchover");
  await poll("the answer to Perform to reach virsh", async () => {
    const { stdout } = await source.run(["ss", "-Hxn", "state", "established"]);
    return unreadOfClients(stdout).some((bytes) => bytes > ANSWER_BYTES) || undefined;
  }, 30_000);
  await lab.network.cut();
  await source.run(["pkill", "-CONT", "-f", "[v]irsh.* migrate "]);
  await domain.waitEvent("phase", (e) => e.phase === "handover");
  await domain.waitEvent("link", (e) => e.state === "down");
  await pass(5000);
  await lab.network.restore();
  await assertFails(domain, 1, /^connection-lost|^session/);
  await receive.exit(30_000);
  await trial.assertAsBefore();
  await trial.assertNextWorks();
}

/**
 * How many bytes each client of vmferry's `source.sock` has not read yet, in the output of ss: `u_str 0 768
 * /run/…/source.sock 11 * 12`, and for its client `u_str 28 0 * 12 * 11`.
 */
function unreadOfClients(table: string): number[] {
  const rows = table.split("\n").map((row) => row.trim().split(/\s+/));
  const clients = rows.filter(([, , , path]) => path?.endsWith("/source.sock"))
    .map((row) => row.at(-1));
  return rows.filter(([, , , , inode]) => clients.includes(inode)).map(([, unread]) =>
    Number(unread)
  );
}
