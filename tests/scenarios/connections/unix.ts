import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** Two sides on one host, or on the user's own tunnel: file permissions are the authentication. */
export const scenario: Scenario = {
  name: "unix",
  about: "a guest crosses through a UNIX socket that only its owner may use",
  timeoutMs: 180_000,
  async run(context) {
    const pair = await Pair.start(context);
    const path = `${context.dir}/tunnel.sock`;
    const receive = pair.receiveWith(["--listen", `unix://${path}`]);
    const address = await receive.address();
    const { mode } = await Deno.stat(path);
    if ((mode! & 0o777) !== 0o600) throw new Error(`The socket has mode ${mode!.toString(8)}`);
    const migrate = pair.migrateWith([address]);
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const pause = await pair.pauseMs();
    await pair.assertArrived();
    return `pause ${pause.toFixed(1)} ms`;
  },
};
