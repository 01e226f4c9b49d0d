import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { secretsSeen } from "../support/secrets.ts";

/** Two hosts that share nothing but a ticket. */
export const scenario: Scenario = {
  name: "ticket",
  about:
    "a ticket alone suffices: encrypted, across a cut, with different clocks, and leaked nowhere",
  timeoutMs: 180_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, { network });
    const file = `${context.dir}/ticket`;
    const receive = pair.receiveWith([
      ...["--verbose", "--listen", `tcp://${network.destination.address}:0`],
      ...["--ticket-file", file],
    ]);
    const address = await receive.address();
    const line = (await Deno.readTextFile(file)).trim();
    const { mode } = await Deno.stat(file);
    if ((mode! & 0o777) !== 0o600) throw new Error(`The ticket's file has mode ${mode}`);
    const ticket = line.split("/").at(-1)!;
    if (line !== `${address}/${ticket}` || ticket.length !== 64) {
      throw new Error(`The file holds ${line.length} characters that do not fit ${address}`);
    }

    const migrate = pair.migrateWith(
      ["--verbose", "--bandwidth", "4M", "--dead-after", "3", "--ticket-file", file],
      ["faketime", "-f", "+3d"],
    );
    await migrate.waitEvent("progress", (e) => moved(e) > 2 << 20);
    const secrets = [ticket, ...await keptSecrets(pair)];
    if (secrets.length !== 5) throw new Error(`${secrets.length} secrets are kept, expected 5`);
    const seen = await secretsSeen(secrets, [migrate, receive]);
    await network.cut();
    await migrate.waitEvent("link", (e) => e.state === "down");
    await network.restore();
    await migrate.waitEvent("link", (e) => e.state === "up");
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    seen.push(...await secretsSeen(secrets, [migrate, receive]));
    if (seen.length > 0) throw new Error(`A secret was seen: ${seen.join("; ")}`);
    const pause = await pair.pauseMs();
    const { downtimeMs } = await migrate.waitEvent("result");
    await pair.assertArrived();
    return `pause ${pause.toFixed(1)} ms, downtime ${downtimeMs} ms`;
  },
};

/** The secrets of a ticket that both sides keep in their run directories while it is used. */
async function keptSecrets(pair: Pair): Promise<string[]> {
  const secrets: string[] = [];
  for (const side of ["source", "dest"] as const) {
    const [run] = [...Deno.readDirSync(pair.runDir(side))];
    const path = `${pair.runDir(side)}/${run!.name}/ticket`;
    const { mode } = await Deno.stat(path);
    if ((mode! & 0o777) !== 0o600) throw new Error(`${path} has mode ${mode!.toString(8)}`);
    const { successor, ticket, privateKey } = JSON.parse(await Deno.readTextFile(path));
    secrets.push(...[successor, ticket].filter((s) => s !== undefined));
    // A line of the PEM key that no other key has.
    if (privateKey) secrets.push(privateKey.split("\n")[1]);
  }
  return secrets;
}

function moved(event: { readonly [member: string]: unknown }): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
